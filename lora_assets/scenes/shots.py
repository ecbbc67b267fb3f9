"""Random films: shots of recurring characters with held drawings, camera moves, cuts, fades and a repeated opening.

Every frame comes with its truth and with what an editor would note: shot, drawing, camera. The sample film with its
fixed story is in film.py, single scenes in scene.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lora_assets.scenes.scene import check_frame, check_name
from lora_assets.scenes.truth import Effect, SceneFrame

if TYPE_CHECKING:
    from lora_assets.scenes.design import Design
    from lora_assets.scenes.stage import Cast, Prop, Stage

MOVES = ("still", "pan", "tilt", "zoom_in", "zoom_out", "shake")
MOVE_SHARES = (0.45, 0.17, 0.1, 0.11, 0.07, 0.1)
TRANSITIONS = ("cut", "fade", "dissolve")
TRANSITION_SHARES = (0.72, 0.18, 0.1)
TRANSITION_FRAMES = 3
FEWEST_FRAMES, MOST_FRAMES = 8, 20
MOST_SHOTS = 10_000
LEADS = 3
WIDE_FRAMINGS = ("half", "full", "full", "far")
"""Framings of the whole stage over which a camera moves: nearer ones would leave it nothing to find."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What part of a shot's stage a frame shows: its zoom (1 is all) and its middle in shares of the stage."""

    zoom: float = 1.0
    x: float = 0.5
    y: float = 0.5


@dataclass(frozen=True, slots=True)
class FilmFrame:
    """A frame of a random film with its truth.

    `number` and `shot` count from 0; `step` counts inside the shot. Frames of one shot with the same `held` show the
    same drawing through the same camera: their pictures are the same but for grain and fades. `move` is one of MOVES,
    `transition` (one of TRANSITIONS) how the shot begins. `repeats` is the shot that this one shows again frame by
    frame, or None.
    """

    frame: SceneFrame
    number: int
    shot: int
    step: int
    held: int
    camera: Camera
    move: str
    transition: str
    repeats: int | None


@dataclass(frozen=True, slots=True)
class _Shot:
    seed: int
    frames: int
    hold: int
    move: str
    transition: str
    fades_out: bool
    place: tuple[str, str] | None
    place_seed: int
    designs: tuple[Design, ...]
    framing: str
    repeats: int | None = None


def draw_shots(
    seed: int, shots: int = 12, width: int = 1280, height: int = 720, *, style: str | None = None, looks: str = "all",
    effects: bool = True,
) -> Iterator[FilmFrame]:  # fmt: skip
    """Draw a random film of `shots` shots, 8 to 20 frames each; the same arguments give the same film, byte for byte.

    Up to three main characters come back by identity from shot to shot, in a few places that come back as well. From
    four shots on the opening shot is shown twice, as in a series whose opening every episode repeats. `effects` False
    leaves out transitions, grain, compression and logo. Raises ValueError for arguments as `draw_scene` does, and for
    shots outside 1..10000.
    """
    check_frame(seed, width, height, None)
    if not 1 <= shots <= MOST_SHOTS:
        raise ValueError(f"shots is {shots}, but it must lie in 1..{MOST_SHOTS}")
    from lora_assets.scenes.design import LOOKS
    from lora_assets.scenes.styles import STYLES, draw_style

    check_name("looks", looks, tuple(LOOKS))
    if style is not None:
        check_name("style", style, tuple(STYLES))
    rng = np.random.default_rng([seed, shots, 4_211])
    name = draw_style(rng) if style is None else style
    return _film(_plan(rng, shots, looks), name, rng.integers(1 << 30, size=2).tolist(), (width, height), effects)


def _plan(rng: np.random.Generator, shots: int, looks: str) -> list[_Shot]:
    from lora_assets.scenes.background import SCENERY
    from lora_assets.scenes.design import design_of
    from lora_assets.scenes.landscape import MOODS
    from lora_assets.scenes.layout import FRAMINGS, IDENTITIES

    leads = [design_of(int(identity), looks) for identity in rng.integers(IDENTITIES, size=LEADS)]
    places = [((str(rng.choice(list(SCENERY))), str(rng.choice(list(MOODS)))), int(rng.integers(1 << 30)))
              for _ in range(max(2, shots // 3))]  # fmt: skip
    plan: list[_Shot] = []
    for _ in range(shots):
        count = int(rng.choice(4, p=[0.1, 0.5, 0.28, 0.12]))
        designs = [leads[int(i)] for i in rng.permutation(LEADS)[:count]]
        if count and rng.random() < 0.15:
            designs[-1] = design_of(int(rng.integers(IDENTITIES)), looks)
        place, place_seed = places[int(rng.integers(len(places)))]
        move = str(rng.choice(MOVES, p=MOVE_SHARES))
        plan.append(_Shot(
            seed=int(rng.integers(1 << 30)),
            frames=int(rng.integers(FEWEST_FRAMES, MOST_FRAMES + 1)),
            hold=int(rng.choice([1, 2, 3], p=[0.2, 0.45, 0.35])),
            move=move,
            transition=str(rng.choice(TRANSITIONS, p=TRANSITION_SHARES)) if plan else "fade",
            fades_out=bool(rng.random() < 0.12),
            place=place if rng.random() < 0.85 else None,
            place_seed=place_seed,
            designs=tuple(designs),
            framing=str(rng.choice(FRAMINGS if move in ("still", "shake") else WIDE_FRAMINGS)),
        ))  # fmt: skip
    if shots > 3:
        plan[shots // 2] = replace(plan[0], repeats=0)
    return plan


def _film(plan: list[_Shot], style: str, seeds: list[int], size: tuple[int, int], effects: bool) -> Iterator[FilmFrame]:
    finish = _finish(seeds[0]) if effects else ()
    number, last = 0, None
    shown: SceneFrame | None = None
    for index, shot in enumerate(plan):
        held, before = -1, None
        for step in range(shot.frames):
            camera = _camera(shot, step, size)
            drawing = step // shot.hold
            held += (drawing, camera) != before
            before = (drawing, camera)
            frame = _drawn(shot, drawing, camera, style, size)
            frame = replace(frame, seed=number)
            if effects:
                frame = _transition(frame, shot, step, last)
                frame = _finished(frame, finish, seeds[1], [shot.seed, step])
            shown = frame
            yield FilmFrame(frame, number, index, step, held, camera, shot.move, shot.transition, shot.repeats)
            number += 1
        # A repeated opening begins the same way wherever it stands, so nothing is dissolved into it.
        following = plan[index + 1] if index + 1 < len(plan) else None
        last = None if following is None or following.repeats is not None else shown


def _finish(seed: int) -> tuple[tuple[str, float], ...]:
    """The look of the whole film: grain, compression, chroma, each with one strength for all frames."""
    rng = np.random.default_rng([seed, 11])
    chosen = [("film_grain", 0.35, 0.4), ("chroma_blur", 0.15, 0.5), ("compressed", 0.45, 0.8)]
    return tuple((name, float(rng.uniform(0.1, most))) for name, share, most in chosen if rng.random() < share)


def _finished(frame: SceneFrame, finish: tuple[tuple[str, float], ...], logo_seed: int, key: list[int]) -> SceneFrame:
    from lora_assets.scenes.effects import apply_effect, with_lettering

    logo = np.random.default_rng([logo_seed, 12])
    if logo.random() < 0.35:
        frame = with_lettering(frame, "logo", logo)
    rng = np.random.default_rng([*key, 13])
    for name, strength in finish:
        frame = apply_effect(frame, name, strength, rng)
    return frame


def _transition(frame: SceneFrame, shot: _Shot, step: int, last: SceneFrame | None) -> SceneFrame:
    """Fades in and out and dissolves, over the first and last frames of a shot."""
    from lora_assets.scenes.effects import apply_effect

    rng = np.random.default_rng(0)
    share = (step + 1) / (TRANSITION_FRAMES + 1)
    if shot.transition == "fade" and share < 1:
        return apply_effect(frame, "fade_to_black", 1 - share, rng)
    if shot.transition == "dissolve" and share < 1 and last is not None:
        image = cv2.addWeighted(frame.image, share, last.image, 1 - share, 0)
        seen = frame if share >= 0.5 else last
        return replace(
            frame, image=image, characters=seen.characters, things=seen.things,
            effects=(*frame.effects, Effect("dissolve", round(min(share, 1 - share), 4))),
        )  # fmt: skip
    left = shot.frames - 1 - step
    if shot.fades_out and left < TRANSITION_FRAMES:
        return apply_effect(frame, "fade_to_black", 1 - left / TRANSITION_FRAMES, rng)
    return frame


def _camera(shot: _Shot, step: int, size: tuple[int, int]) -> Camera:
    """The camera at a step of the shot; moves start and end softly."""
    rng = np.random.default_rng([shot.seed, 5])
    zoom = float(rng.uniform(1.25, 1.7))
    free = 0.5 - 0.5 / zoom
    way = step / max(1, shot.frames - 1)
    eased = way * way * (3 - 2 * way)
    side = float(rng.choice([-1.0, 1.0]))
    if shot.move == "pan":
        return Camera(zoom, round(0.5 + side * free * (2 * eased - 1), 5), 0.5 + free * 0.5)
    if shot.move == "tilt":
        return Camera(zoom, 0.5 + side * free * 0.4, round(0.5 + free * (2 * eased - 1), 5))
    if shot.move in ("zoom_in", "zoom_out"):
        now = 1 + (zoom - 1) * (eased if shot.move == "zoom_in" else 1 - eased)
        slack = 0.5 - 0.5 / now
        return Camera(round(now, 5), 0.5 + side * slack * 0.5, 0.5 - slack * 0.6)
    if shot.move == "shake":
        dx, dy = np.random.default_rng([shot.seed, 6, step]).uniform(-1, 1, 2) * 0.012
        return Camera(1.06, round(0.5 + float(dx), 5), round(0.5 + float(dy) * size[1] / size[0], 5))
    return Camera()


@lru_cache(maxsize=2)
def _drawn(shot: _Shot, drawing: int, camera: Camera, style: str, size: tuple[int, int]) -> SceneFrame:
    """One drawing of a shot through the camera; held frames come from the cache."""
    from lora_assets.scenes.stage import render_stage
    from lora_assets.scenes.styles import finish_of
    from lora_assets.scenes.tone import finished

    stage = seen_by(_stage(shot, drawing, style, size), camera, *size)
    frame = render_stage(stage, *size, 0)
    image = finished(frame.image, finish_of(style), np.random.default_rng([shot.place_seed, 17]))
    return replace(frame, image=image, style=style)


def _stage(shot: _Shot, drawing: int, style: str, size: tuple[int, int]) -> Stage:
    """The stage of one drawing: what stands where stays, poses and faces go on a little from drawing to drawing."""
    from lora_assets.scenes.layout import random_items
    from lora_assets.scenes.stage import Cast, Stage
    from lora_assets.scenes.styles import ink_of

    rng = np.random.default_rng([shot.seed, 3])
    ink = ink_of(style, np.random.default_rng([shot.seed, 4]))
    items = random_items(rng, *size, shot.designs, ink, shot.framing)
    walk = size[0] * float(rng.choice([0.0, 0.0, rng.uniform(-0.012, 0.012)]))
    acted = [_acted(item, shot, drawing, walk) if isinstance(item, Cast) else item for item in items]
    return Stage(tuple(acted), shot.place_seed, shot.place)


def _acted(cast: Cast, shot: _Shot, drawing: int, walk: float) -> Cast:
    """A character a few moments later: another expression now and then, limbs and head moved on."""
    from lora_assets.scenes.pose import draw_expression

    if drawing == 0:
        return cast
    rng = np.random.default_rng([shot.seed, 7, drawing, cast.design.identity])
    pose = cast.pose

    def moved(
        limbs: tuple[tuple[float, float], tuple[float, float]],
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        swing = rng.normal(0, 6, 4)
        return (limbs[0][0] + swing[0], limbs[0][1] + swing[1]), (limbs[1][0] + swing[2], limbs[1][1] + swing[3])

    pose = replace(
        pose,
        arms=moved(pose.arms),
        legs=moved(pose.legs) if walk else pose.legs,
        head_tilt=pose.head_tilt + float(rng.normal(0, 2)),
        expression=draw_expression(rng) if rng.random() < 0.5 else pose.expression,
    )
    return replace(cast, pose=pose, chin=(cast.chin[0] + walk * drawing, cast.chin[1]))


def seen_by(stage: Stage, camera: Camera, width: int, height: int) -> Stage:
    """The stage as the camera sees it: everything moved and scaled, drawn as sharply as without a camera."""
    from lora_assets.scenes.stage import Cast

    zoom = camera.zoom

    def at(x: float, y: float) -> tuple[float, float]:
        return ((x / width - camera.x) * zoom + 0.5) * width, ((y / height - camera.y) * zoom + 0.5) * height

    items: list[Cast | Prop] = [
        replace(item, chin=at(*item.chin), head_height=item.head_height * zoom)
        if isinstance(item, Cast)
        else replace(item, foot=at(*item.foot), size=item.size * zoom)
        for item in stage.items
    ]
    view = (zoom, zoom * (0.5 - camera.x), zoom * (0.5 - camera.y) * height / width)
    return replace(stage, items=tuple(items), view=view)
