"""annotations check, convert, show; sample-comics; train-page-detector; segment-pages: comic pages and their masks."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lora_assets.cli.console import print_table, shown_progress
from lora_assets.cli.paths import expanded
from lora_assets.cli.project import enter_project, find_project
from lora_assets.progress import Progress
from lora_assets.specs import SpecError

if TYPE_CHECKING:
    from lora_assets.annotations.writing import MaskForm

annotations_app = typer.Typer(
    help="Annotated comic pages (COCO): look whether a set is sound, bring one into the layout, see its masks.",
    no_args_is_help=True,
)
_SHOWN = 40
_FORMS = "How masks are written: file (PNG), rle or polygon."


def _here(path: Path) -> Path:
    """A path as the person meant it: commands work in the project's folder afterwards."""
    return expanded(path).absolute()


def _set_folder(named: str) -> Path:
    """A set by its name in data/annotations, or a folder or COCO file as it stands."""
    from lora_assets.annotations.places import annotations_folder

    path = expanded(Path(named))
    if path.exists() or len(path.parts) > 1:
        return path.absolute()
    return annotations_folder(find_project().data, named)


@annotations_app.command()
def check(
    named: Annotated[str, typer.Argument(metavar="SET", help="A name in data/annotations, a folder, or a COCO file.")],
    pictures: Annotated[Path | None, typer.Option(help="Where the pictures of a COCO file lie.")] = None,
) -> None:
    """Open every picture and mask of a set and name everything that is wrong; exit code 3 when anything is broken."""
    from lora_assets.annotations import read_annotated_set
    from lora_assets.annotations.records import SPLITS
    from lora_assets.cli.app import EXIT_BAD_INPUT

    with shown_progress() as listener:
        found, problems = read_annotated_set(
            _set_folder(named), pictures=None if pictures is None else _here(pictures),
            told=lambda done, total: listener(Progress("check pages", done, total, "pages")),
        )  # fmt: skip
    rows = []
    split_of = {image.id: image.split for image in found.images}
    for category in found.categories:
        of_category = [one for one in found.annotations if one.category_id == category.id]
        rows.append([category.name, *(sum(split_of[one.image_id] == s for one in of_category) for s in SPLITS)])
    print_table(("category", *SPLITS), rows, f"{len(found.images)} pages, digest {found.digest}")
    for problem in problems[:_SHOWN]:
        typer.echo(f"{problem.severity}: {problem}", err=True)
    if len(problems) > _SHOWN:
        typer.echo(f"... and {len(problems) - _SHOWN} more", err=True)
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(EXIT_BAD_INPUT)


@annotations_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A COCO file, or a folder with annotations.json.")],
    name: Annotated[str, typer.Argument(help="The new set: a name in data/annotations, or a folder.")],
    pictures: Annotated[Path | None, typer.Option(help="Where the pictures lie; default: beside the file.")] = None,
    form: Annotated[str, typer.Option(help=_FORMS)] = "file",
) -> None:
    """Bring plain COCO (also Manga109 and MangaSeg names) into the layout: pictures, mask files, annotations.json.

    What is broken is named and left out; exit code 3 when there was anything.
    """
    from lora_assets.annotations import convert as convert_set
    from lora_assets.annotations.reading import OF_SPLITS
    from lora_assets.cli.app import EXIT_BAD_INPUT

    target = _set_folder(name)
    with shown_progress() as listener:
        found, problems = convert_set(
            _here(source), target, pictures=None if pictures is None else _here(pictures), form=_form(form),
            told=lambda done, total: listener(Progress("copy pages", done, total, "pages")),
        )  # fmt: skip
    for problem in problems[:_SHOWN]:
        typer.echo(f"{problem.severity}: {problem}", err=True)
    if len(problems) > _SHOWN:
        typer.echo(f"... and {len(problems) - _SHOWN} more", err=True)
    typer.echo(f"{target}: {len(found.images)} pages, {len(found.annotations)} annotations; {len(problems)} problems")
    # What concerns splits costs no annotation: a set may be converted to be split afterwards.
    if any(problem.severity == "error" and problem.kind not in OF_SPLITS for problem in problems):
        raise typer.Exit(EXIT_BAD_INPUT)


@annotations_app.command()
def show(
    named: Annotated[str, typer.Argument(metavar="SET", help="A name in data/annotations, a folder, or a COCO file.")],
    out: Annotated[Path, typer.Argument(help="The picture to write, .jpg.")],
    pages: Annotated[int, typer.Option(min=2, max=40, help="How many pages, half of each split.")] = 8,
    pictures: Annotated[Path | None, typer.Option(help="Where the pictures of a COCO file lie.")] = None,
) -> None:
    """Lay the masks of some pages over them, in the colours of their categories, and write that as a picture."""
    from lora_assets.annotations import read_annotated_set
    from lora_assets.annotations.drawing import COLOURS, jpeg_bytes, sheet
    from lora_assets.store import atomic_write_bytes

    if out.suffix.lower() not in (".jpg", ".jpeg"):
        raise typer.BadParameter(f"{out.name} must end in .jpg")
    found, _ = read_annotated_set(_set_folder(named), pictures=None if pictures is None else _here(pictures))
    atomic_write_bytes(_here(out), jpeg_bytes(sheet(found, pages)))
    told = ", ".join(f"{c.name} {COLOURS[i % len(COLOURS)][0]}" for i, c in enumerate(found.categories))
    typer.echo(f"{out}: {told}")


def sample_comics(
    name: Annotated[str, typer.Argument(help="The new set: a name in data/annotations, or a folder.")],
    pages: Annotated[int, typer.Option(min=2, help="How many pages; every fifth is val, of unseen layouts.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="The first seed; the same seed draws the same pages.")] = 1,
    size: Annotated[
        str, typer.Option(help="Width and height of a page in pixels; of several (720x1024,1024x720) a page has any.")
    ] = "720x1024",
    form: Annotated[str, typer.Option(help=_FORMS)] = "file",
) -> None:
    """Draw comic pages with truth as an annotated set: panels, bubbles, characters, text in English and Japanese."""
    from lora_assets.annotations.sample import write_sample

    asked = [re.fullmatch(r"(\d{1,5})x(\d{1,5})", one.strip()) for one in size.split(",")]
    sizes = [(int(one[1]), int(one[2])) for one in asked if one is not None]
    if len(sizes) < len(asked):
        raise typer.BadParameter(f"--size is {size!r}, but it must be WIDTHxHEIGHT, like 720x1024 or 720x1024,900x900")
    target = _set_folder(name)
    try:
        with shown_progress() as listener:
            found = write_sample(
                target, pages, seed, size=sizes, form=_form(form),
                told=lambda done, total: listener(Progress("draw pages", done, total, "pages")),
            )  # fmt: skip
    except SpecError:
        raise
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{target}: {len(found.images)} pages, {len(found.annotations)} annotations, digest {found.digest}")


def train_page_detector(
    name: Annotated[str, typer.Argument(help="The detector's name; also its set's, unless --annotations names one.")],
    annotations: Annotated[str, typer.Option(help="The annotated set: a name in data/annotations, or a folder.")] = "",
    minutes: Annotated[float | None, typer.Option(help="Train so long at most.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train so many steps at most.")] = None,
    side: Annotated[int | None, typer.Option(help="Longer side of the input in pixels, in steps of 32.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pages of one step.")] = None,
    network: Annotated[
        str | None, typer.Option(help="Ultralytics network, such as yolov8n.yaml or yolov8s.yaml.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help='Weights to begin with: "starter-pages" (the default), "starter", an Ultralytics .pt, or "" for none.'
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and batches.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget where a killed training was.")] = False,
) -> None:
    """Train a detector that finds panels, bubbles, characters and text on pages; after a kill it goes on by itself."""
    from lora_assets.annotations import read_annotated_set
    from lora_assets.annotations.reading import forbids_training
    from lora_assets.finetuning.page_cards import detector_path, score_lines
    from lora_assets.finetuning.page_detector import PageDetectorSettings
    from lora_assets.finetuning.page_detector import train_page_detector as train
    from lora_assets.training.schedule import TrainingError

    project = enter_project()
    out = detector_path(project.data, name)
    given = {
        "minutes": minutes, "steps": steps, "side": side, "batch": batch, "network": network, "start": start,
        "seed": seed,
    }  # fmt: skip
    try:
        settings = replace(PageDetectorSettings(), **{k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    found, problems = read_annotated_set(_set_folder(annotations or name))
    forbidding = forbids_training(problems)
    if forbidding:
        raise SpecError("; ".join(str(problem) for problem in forbidding[:3]))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        card = train(found, out, settings, resume=not restart)
    except TrainingError as error:
        raise SpecError(str(error)) from error
    typer.echo(f"{out}: {card.steps} steps, {card.seconds_trained / 60:.1f} minutes")
    for line in score_lines(card):
        typer.echo(line)


def segment_pages(
    folder: Annotated[Path, typer.Argument(help="A folder of pages, or one page.")],
    out: Annotated[Path, typer.Option(help="The COCO file to write.")],
    detector: Annotated[
        str, typer.Option(help="The page detector: that of the package, or your own (train-page-detector NAME).")
    ] = "starter-pages",
    model: Annotated[str, typer.Option(help="The segmenter: a name of `models list`, a tuned one, or a file.")] = (
        "starter-sam"
    ),
    form: Annotated[str, typer.Option(help=_FORMS)] = "rle",
) -> None:
    """Find panels, bubbles, characters and text on pages without prompts, with masks, and write them as COCO."""
    from lora_assets.finetuning.page_detector import open_page_detector
    from lora_assets.finetuning.page_segmenting import page_files
    from lora_assets.finetuning.page_segmenting import segment_pages as segment
    from lora_assets.vision.prompted import open_prompted

    pages, target = _here(folder), _here(out)
    if not pages.exists():
        raise SpecError(f"{pages} is not there: name a folder of pages, or one page")
    files = page_files(pages)
    if not files:
        raise SpecError(f"{pages} holds no pictures: name a folder of pages")
    project = enter_project()
    opened, segmenter = open_page_detector(project.data, detector), open_prompted(model, project.data)
    with shown_progress() as listener:
        made = segment(
            pages, files, opened, segmenter, target, form=_form(form),
            told=lambda done, total: listener(Progress("segment pages", done, total, "pages")),
        )  # fmt: skip
    for problem in made.problems:
        typer.echo(f"left out: {problem}", err=True)
    told = ", ".join(f"{count} {name}" for name, count in made.counts.items())
    typer.echo(f"{made.path}: {made.pages} pages; {told}; {made.from_boxes} masks are only boxes")


def _form(form: str) -> MaskForm:
    from lora_assets.annotations.writing import check_form

    try:
        return check_form(form)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(annotations_app, name="annotations")
    app.command("sample-comics")(sample_comics)
    app.command("train-page-detector")(train_page_detector)
    app.command("segment-pages")(segment_pages)
