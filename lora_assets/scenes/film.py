"""The sample film: two short datasets of drawn frames, with their truth and a few damaged files on purpose.

Its story is data in screenplay.py; random scenes for training are drawn by scene.py instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lora_assets.scenes.pose import ARM_PAIRS, LEG_PAIRS, Pose
from lora_assets.scenes.screenplay import FACES, MEADOW, TOWN, Actor, Shot
from lora_assets.scenes.truth import Effect, SceneFrame
from lora_assets.store import atomic_write_bytes

if TYPE_CHECKING:
    from lora_assets.scenes.ink import Ink
    from lora_assets.scenes.stage import Cast, Stage

WIDTH, HEIGHT = 1280, 720
JPEG_QUALITY = 92
FADE_SHARE = 0.05
DATASETS = (("demo-meadow", MEADOW), ("demo-city", TOWN))
NOT_A_PICTURE = b"This file is called .png, but it holds text. A careful reader says so and goes on.\n"
FRAMING_SIZES = {"face": (0.56, 0.83), "bust": (0.33, 0.5), "half": (0.235, 0.36)}


@dataclass(frozen=True, slots=True)
class _Moment:
    """One file of the film: its path inside the folder of all datasets, its shot and its number inside the shot."""

    path: str
    number: int
    shot: Shot
    step: int


def write_sample_film(folder: Path, *, only_missing: bool = True) -> tuple[Path, ...]:
    """Write the sample film as the dataset folders demo-meadow and demo-city of `folder` and return all its files.

    120 frames of 1280x720, PNG and JPEG mixed; the bytes are the same at every run. Files that exist are kept unless
    `only_missing` is False. Raises StoreError when a file cannot be written.
    """
    paths = []
    for moment in _moments():
        path = folder / moment.path
        paths.append(path)
        if only_missing and path.exists():
            continue
        atomic_write_bytes(path, _file_bytes(moment), durable=False)
    return tuple(paths)


def sample_film_truth() -> Iterator[tuple[str, SceneFrame | None]]:
    """Every file of the film as (path inside the folder, drawn frame with truth), None for files that do not open."""
    for moment in _moments():
        broken = moment.shot.special in ("truncated", "text")
        yield moment.path, None if broken else _frame(moment)


def _moments() -> Iterator[_Moment]:
    for dataset, shots in DATASETS:
        number = 0
        for index, shot in enumerate(shots):
            jpeg = index % 2 == 1 or shot.special == "truncated"
            ending = "jpg" if jpeg and shot.special != "text" else "png"
            for step in range(shot.frames):
                number += 1
                yield _Moment(f"{dataset}/{dataset[5:]}-{number:04d}.{ending}", number, shot, step)


def _file_bytes(moment: _Moment) -> bytes:
    if moment.shot.special == "text":
        return NOT_A_PICTURE
    picture = cv2.cvtColor(_frame(moment).image, cv2.COLOR_RGB2BGR)
    if moment.path.endswith(".jpg"):
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    else:
        _, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 2])
    content = data.tobytes()
    return content[: len(content) // 3] if moment.shot.special == "truncated" else content


def _frame(moment: _Moment) -> SceneFrame:
    """The drawn frame of a moment; black and faded frames show (almost) nobody, and say so in their truth."""
    shot = moment.shot
    if shot.special == "black":
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        return SceneFrame(picture, (), moment.number, (Effect("fade_to_black", 1.0),))
    from lora_assets.scenes.effects import faded, lettered, tinted
    from lora_assets.scenes.stage import render_stage

    frame = render_stage(_stage(shot, moment.step), WIDTH, HEIGHT, moment.number)
    if shot.light is not None:
        frame = replace(frame, image=tinted(frame.image, shot.light, 0.22))
    if shot.subtitle:
        frame = lettered(frame, shot.subtitle, 0.05, 0.9)
    if shot.special == "title":
        frame = lettered(frame, "a day in the meadow", 0.075, 0.36)
    if shot.special == "fade":
        gone = Effect("fade_to_black", 1 - FADE_SHARE)
        frame = SceneFrame(faded(frame.image, FADE_SHARE), (), moment.number, (*frame.effects, gone))
    return frame


def _stage(shot: Shot, step: int) -> Stage:
    from lora_assets.scenes.ink import Ink
    from lora_assets.scenes.stage import Prop, Stage

    ink = Ink(line_width=0.014, line_darkness=0.32, shadow=0.8, light=(-0.045, -0.05))

    def props(front: bool) -> list[Prop]:
        return [
            Prop(
                thing.name,
                thing.seed,
                (WIDTH * (thing.x + thing.walk * step), HEIGHT * thing.foot),
                HEIGHT * thing.size,
            )
            for thing in shot.things
            if thing.front == front
        ]

    cast = [_cast(actor, shot.framing, step, ink) for actor in shot.actors]
    return Stage((*props(False), *cast, *props(True)), shot.seed, shot.place, shot.view)


def _cast(actor: Actor, framing: str, step: int, ink: Ink) -> Cast:
    """The actor at one frame of the shot: every pose is held for two frames, as drawn films do."""
    from lora_assets.scenes.stage import Cast

    held = step // 2
    pose = Pose(
        yaw=actor.yaw,
        mirrored=actor.mirrored,
        arms=ARM_PAIRS[actor.arms[held % len(actor.arms)]],
        legs=LEG_PAIRS[actor.legs[held % len(actor.legs)]],
        head_tilt=actor.tilt + (1.5 if held % 2 else 0.0),
        expression=FACES[actor.faces[step % len(actor.faces)]],
    )
    design = actor.design
    if framing == "full":
        size = HEIGHT * 0.8 / (design.heads + 0.25) * actor.nearer
        chin_y = HEIGHT * (0.95 + actor.lower) - (design.heads - 1) * size
    else:
        share, chin = FRAMING_SIZES[framing]
        size, chin_y = HEIGHT * share * actor.nearer, HEIGHT * (chin + actor.lower)
    return Cast(design, pose, ink, (WIDTH * (actor.x + actor.walk * step), chin_y), size)
