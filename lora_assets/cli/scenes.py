"""scenes sheet, draw: drawn pictures with truth, to look at and to test with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from lora_assets.cli.console import shown_progress
from lora_assets.progress import Progress
from lora_assets.specs import SpecError
from lora_assets.store import atomic_write_bytes

scenes_app = typer.Typer(
    help="Drawn scenes: a contact sheet to look at, frames with their truth to test with.", no_args_is_help=True
)
Style = Annotated[str | None, typer.Option(help="One drawing style for all; a random one for each when left out.")]
Looks = Annotated[str, typer.Option(help="Which hair, clothes and palettes: all, training or held_out.")]
Seed = Annotated[int, typer.Option(help="The first seed; the same seed draws the same pictures.")]
PICTURES = (".png", ".jpg")


@scenes_app.command()
def sheet(
    out: Annotated[Path, typer.Argument(help="The picture to write, .png or .jpg.")],
    seed: Seed = 1,
    columns: Annotated[int, typer.Option(min=1, max=50)] = 4,
    rows: Annotated[int, typer.Option(min=1, max=50)] = 3,
    width: Annotated[int, typer.Option(min=64, max=1920, help="Pixels across one scene.")] = 320,
    style: Style = None,
    looks: Looks = "all",
) -> None:
    """Draw a contact sheet of random scenes."""
    import cv2

    from lora_assets.scenes.dataset import contact_sheet

    if out.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"{out.name} must end in {' or '.join(PICTURES)}")
    try:
        picture = contact_sheet(seed, columns, rows, style=style, looks=looks, tile_width=width)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9] if out.suffix.lower() == ".png" else []
    done, content = cv2.imencode(out.suffix.lower(), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise typer.BadParameter(
            f"a sheet of {picture.shape[1]} x {picture.shape[0]} pixels is too large for {out.name}"
        )
    atomic_write_bytes(out, content.tobytes())
    typer.echo(f"{out}: {columns * rows} scenes, {len(content) / 1e3:.0f} kB")


@scenes_app.command()
def draw(
    folder: Annotated[Path, typer.Argument(help="The folder to write into; it is made.")],
    frames: Annotated[int, typer.Option(min=1, help="How many frames.")] = 100,
    seed: Seed = 1,
    size: Annotated[str, typer.Option(help="Width and height in pixels.")] = "1280x720",
    film: Annotated[bool, typer.Option("--film", help="Shots with held frames and camera moves.")] = False,
    style: Style = None,
    looks: Looks = "all",
) -> None:
    """Draw frames as PNG files, and their truth as truth.json (COCO instances, and what COCO has no field for)."""
    from lora_assets.scenes import FilmFrame, SceneFrame, draw_scene, draw_shots
    from lora_assets.scenes.dataset import write_dataset

    if folder.exists() and not folder.is_dir():
        raise SpecError(f"{folder} is a file: name a folder, which is made when it is not there")
    asked = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if asked is None:
        raise typer.BadParameter(f"--size is {size!r}, but it must be WIDTHxHEIGHT, like 1280x720")
    width, height = int(asked[1]), int(asked[2])

    def drawn() -> Iterator[SceneFrame | FilmFrame]:
        if film:
            # Eight frames are the fewest of a shot.
            shots = draw_shots(seed, max(1, -(-frames // 8)), width, height, style=style, looks=looks)
            yield from islice(shots, frames)
            return
        for number in range(seed, seed + frames):
            yield draw_scene(number, width, height, style=style, looks=looks)

    try:
        with shown_progress() as listener:
            truth = write_dataset(folder, drawn(), lambda done: listener(Progress("draw", done, frames, "frames")))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{frames} frames in {folder}, truth in {truth.name}")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.add_typer(scenes_app, name="scenes")
