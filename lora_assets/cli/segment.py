"""segment: masks of pictures by a segmenter, without a tracker. Masks that were made by hand are in corrections."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from lora_assets.cli.app import EXIT_BAD_INPUT
from lora_assets.cli.console import print_table, shown_progress
from lora_assets.cli.paths import expanded, resolved
from lora_assets.cli.project import enter_project
from lora_assets.specs import SpecError
from lora_assets.store import digest

_SHOWN = 40


def _points(told: list[str]) -> tuple[tuple[float, float, int], ...]:
    """Clicks from the command line: X,Y belongs to it, X,Y,0 does not."""
    found = []
    for text in told:
        try:
            x, y, *rest = (float(part) for part in text.split(","))
            label = int(rest[0]) if rest else 1
            if len(rest) > 1 or label not in (0, 1):
                raise ValueError
        except ValueError as error:
            raise typer.BadParameter(f"{text!r}: give X,Y for what belongs to it, X,Y,0 for what does not") from error
        found.append((x, y, label))
    return tuple(found)


def segment(
    source: Annotated[Path, typer.Argument(metavar="IMAGE|FOLDER", help="A picture, or a folder; it is only read.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for masks, cut-outs and records.", show_default="data/segmented/NAME-DIGEST"),
    ] = None,
    model: Annotated[str, typer.Option(help="Segmenter: a name, a tuned one, or a file.")] = "starter-sam",
    boxes: Annotated[
        Path | None, typer.Option(help="Boxes by picture: CSV (file,x1,y1,x2,y2[,label]), JSON or COCO.")
    ] = None,
    points: Annotated[
        list[str] | None, typer.Option(help="A click on one picture: X,Y, or X,Y,0 for what does not belong to it.")
    ] = None,
    detector: Annotated[
        list[str] | None, typer.Option(help="Detector weights that find the boxes when none are given.")
    ] = None,
    cutouts: Annotated[bool, typer.Option(help="Write RGBA cut-outs beside the masks.")] = True,
    coco: Annotated[bool, typer.Option("--coco", help="Write OUT/annotations.json.")] = False,
) -> None:
    """Segment a picture or a folder, without a tracker: masks as PNG, cut-outs, and COCO when asked.

    What is done already under the same model and boxes is skipped; a picture or a box that cannot be used is named and
    costs no other. Exit code 3 when there was one.
    """
    from lora_assets.main_line.asked_boxes import read_boxes
    from lora_assets.main_line.segment_files import Asked, pictures_below, segment_files, write_coco_of
    from lora_assets.models import resolve
    from lora_assets.recipes import read_settings
    from lora_assets.vision.prompted import open_prompted

    source, out = expanded(source).absolute(), None if out is None else expanded(out).absolute()
    boxes = None if boxes is None else expanded(boxes).absolute()
    clicks = _points(points or [])
    if clicks and (boxes is not None or source.is_dir()):
        raise SpecError("clicks are of one picture, without a file of boxes: leave --points or --boxes out")
    data = enter_project().data
    out = _usual_out(data, source) if out is None else out
    told = read_boxes(boxes) if boxes is not None else None
    misfits = told.problems if told else ()
    for problem in misfits[:_SHOWN]:
        typer.echo(problem, err=True)
    if len(misfits) > _SHOWN:
        typer.echo(f"... and {len(misfits) - _SHOWN} more", err=True)
    pictures = pictures_below(source, out)
    weights = resolve(model, data)
    asked = Asked(told, clicks) if told or clicks else _found_by(detector, data)
    failed, made, counts = [], [], {"masks": 0, "segmented": 0, "skipped": 0}
    with shown_progress() as listener:
        for one in segment_files(
            pictures, out, asked, weights.sha256, lambda: open_prompted(model, data), cutouts=cutouts,
            settings=read_settings(data), listen=listener,
        ):  # fmt: skip
            if one.reason:
                failed.append([one.name, one.reason])
                continue
            made.append(PurePosixPath(one.name))
            counts["masks"] += one.masks
            counts["skipped" if one.skipped else "segmented"] += 1
    if coco:
        typer.echo(f"COCO: {write_coco_of(out, made)}")
    done = f"{counts['segmented']} pictures segmented, {counts['skipped']} were done before"
    typer.echo(f"{done}, {counts['masks']} masks: {out}")
    if failed:
        print_table(["picture", "why it has no mask"], failed[:_SHOWN], title=f"{len(failed)} pictures have no mask")
    if misfits:
        typer.echo(f"{len(misfits)} boxes of {boxes} could not be used: see above", err=True)
    if failed or misfits:
        raise typer.Exit(EXIT_BAD_INPUT)


def _usual_out(data: Path, source: Path) -> Path:
    """Where masks go when no folder is named: pictures of one name in different folders do not meet there."""
    return data / "segmented" / f"{source.stem or source.name}-{digest(str(resolved(source)))[:8]}"


def _found_by(detector: list[str] | None, data: Path):  # noqa: ANN202 (Asked is imported inside functions)
    """Boxes of characters by a detector, as a tracker with the usual settings finds them."""
    from lora_assets.main_line.asked_boxes import AskedBox
    from lora_assets.main_line.segment_files import Asked
    from lora_assets.models import resolve
    from lora_assets.vision.detect import Detector, detect_frame, load_detector
    from lora_assets.vision.detect_settings import DetectSettings

    settings = DetectSettings(weights=tuple(detector)) if detector else DetectSettings()
    weights = [resolve(name, data) for name in settings.weights if name != "edges"]
    opened: list[Detector] = []

    def find(image, sha256):  # noqa: ANN001, ANN202
        if not opened:
            opened.extend(load_detector(one, settings) for one in weights)
        rows = detect_frame(image, sha256, opened, settings)
        return [AskedBox((row.x1, row.y1, row.x2, row.y2), row.label) for row in rows if row.is_subject]

    return Asked(find=find, finder=digest([one.sha256 for one in weights], repr(settings)))


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(segment)
