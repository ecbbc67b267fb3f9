"""Who says what on a page, in which bubble, and where it finds room; sounds that stand free.

Bodies and tails of bubbles are in comic_bubbles.py, lettering in comic_lettering.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lora_assets.scenes.comic_bubbles import (
    BOX,
    ROUNDED,
    SHOUT,
    SPEECH,
    THOUGHT,
    WAVY,
    Bubble,
    body_half,
    find_place,
    make_bubble,
    overlap,
)
from lora_assets.scenes.comic_layout import LEFT_TO_RIGHT
from lora_assets.scenes.comic_lettering import (
    HANDS,
    Hand,
    TextBlock,
    set_columns,
    set_latin,
    set_rows,
)
from lora_assets.scenes.comic_scripts import LATER, SOUNDS, Script
from lora_assets.scenes.ink import Rgb
from lora_assets.scenes.truth import Box

STANDING_OUT = {SPEECH: 1.0, ROUNDED: 1.0, THOUGHT: 1.12, SHOUT: 1.4, BOX: 1.0, WAVY: 1.1}
"""How far bodies reach beyond their halves."""
DEAREST = 1.15
"""Above this cost of its best place a line is left unsaid: it would hide faces or other bubbles."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What a panel offers to speech: its bounds, its characters' heads and bodies, and its creature's head (xyxy)."""

    room: Box
    heads: tuple[Box, ...]
    bodies: tuple[Box, ...]
    creature: Box | None


@dataclass(frozen=True, slots=True)
class Speech:
    """A placed bubble with its text; `panel` is the place of its panel on the page."""

    panel: int
    bubble: Bubble
    block: TextBlock
    words: str
    ink: Rgb


@dataclass(frozen=True, slots=True)
class Sound:
    """A placed sound: its block, where and how it stands, its colours, and the box that it keeps free."""

    block: TextBlock
    centre: tuple[float, float]
    turn: float
    stretch: float
    rgb: Rgb
    outline: Rgb
    box: Box
    words: str


def place_speeches(
    rng: np.random.Generator, spots: Sequence[Spot], script: Script, language: str, direction: str,
    page: tuple[int, int], line: float, hand: Hand, *, coloured: bool,
) -> list[Speech]:  # fmt: skip
    """The story's lines in bubbles of the panels, in the order of reading; lines that find no room are left out."""
    lines = list(script.japanese if language == "ja" else script.english)
    said: list[Speech] = []
    next_line = 0
    for place, spot in enumerate(spots):
        x0, y0, x1, y1 = spot.room
        share = (x1 - x0) * (y1 - y0) / (page[0] * page[1])
        wanted = int(rng.choice([0, 1, 2, 3], p=[0.1, 0.5, 0.3, 0.1])) if share > 0.12 else int(rng.random() < 0.8)
        if len(spots) == 1:
            wanted = max(wanted, 2)
        told: list[Speech] = []
        opens = place == 0
        if rng.random() < (0.6 if opens else 0.06):
            pair = script.narration if opens else LATER[int(rng.integers(len(LATER)))]
            words = pair[int(language == "ja")]
            told += _said(rng, place, spot, words, BOX, None, direction, page, line, hand, language, said, 0, coloured)
        speakers = [*spot.heads, *([spot.creature] if spot.creature else [])]
        for turn in range(wanted):
            if not speakers:
                break
            words = lines[next_line % len(lines)]
            speaker = speakers[turn % len(speakers)]
            new = _said(rng, place, spot, words, _kind(rng, words), speaker, direction, page, line, hand, language,
                        [*said, *told], turn, coloured)  # fmt: skip
            told += new
            next_line += bool(new)
        said += told
    return said


def _kind(rng: np.random.Generator, words: str) -> str:
    if any(mark in words for mark in ("!!", "！！", "?!", "！？", "？！", "ーーー")):
        return SHOUT if rng.random() < 0.75 else SPEECH
    if any(mark in words for mark in ("...", "…")):
        return THOUGHT if rng.random() < 0.5 else str(rng.choice([SPEECH, WAVY]))
    return str(rng.choice([SPEECH, ROUNDED, THOUGHT, SHOUT, WAVY], p=[0.62, 0.2, 0.07, 0.07, 0.04]))


def set_words(
    rng: np.random.Generator, words: str, language: str, size: float, hand: Hand, *, columns: bool, longest: int
) -> TextBlock:  # fmt: skip
    """A text in its language's way; `size` is the height of an English letter, Japanese ones are a third larger."""
    if language == "en":
        return set_latin(words, size, hand, rng, longest)
    return (set_columns if columns else set_rows)(words, size * 1.32, hand, rng, longest)


def _said(
    rng: np.random.Generator, place: int, spot: Spot, words: str, kind: str, speaker: Box | None, direction: str,
    page: tuple[int, int], line: float, hand: Hand, language: str, others: Sequence[Speech], turn: int, coloured: bool,
) -> list[Speech]:  # fmt: skip
    """One bubble, smaller when there is no room; an empty list when it finds none."""
    short = min(page)
    columns = language == "ja" and (direction != LEFT_TO_RIGHT or rng.random() < 0.3) and kind != BOX
    size = short * float(rng.uniform(0.019, 0.03)) * (1.15 if kind == SHOUT else 1.0)
    avoid = [(box, 2.6) for box in spot.heads] + [(box, 0.35) for box in spot.bodies]
    avoid += [(speech.bubble.bounds, 9.0) for speech in others]
    if spot.creature is not None:
        avoid.append((spot.creature, 1.6))
    first = 0.0 if direction == LEFT_TO_RIGHT else 1.0
    wish = (first if turn % 2 == 0 else 1 - first, min(1.0, 0.05 + 0.45 * turn))
    for shrink in (1.0, 0.85, 0.72):
        scaled = max(7.0, size * shrink)
        room_wide = (spot.room[2] - spot.room[0]) / (scaled * 0.95)
        longest = int(np.clip(math.sqrt(len(words)) * 2.4, 5, max(6, room_wide * 0.6)))
        if language == "ja":
            longest = int(np.clip(math.sqrt(len(words)) * (2.0 if columns else 2.4), 3, 9))
        block = set_words(rng, words, language, scaled, hand, columns=columns, longest=longest)
        half = body_half(kind, block.half, scaled * float(rng.uniform(0.4, 0.75)))
        reach = STANDING_OUT[kind]
        found = find_place(rng, (half[0] * reach, half[1] * reach), spot.room, page, avoid, wish)
        if found is None or found[1] > DEAREST:
            continue
        centre = found[0]
        own = (centre[0] - half[0] * reach, centre[1] - half[1] * reach,
               centre[0] + half[0] * reach, centre[1] + half[1] * reach)  # fmt: skip
        if any(overlap(own, speech.bubble.bounds) > 0.03 * 4 * half[0] * half[1] for speech in others):
            continue
        target = None
        if speaker is not None and rng.random() < 0.94:
            # Tails point at the mouth.
            target = ((speaker[0] + speaker[2]) / 2, speaker[1] + 0.72 * (speaker[3] - speaker[1]))
        fill: Rgb = (255, 255, 255)
        ink: Rgb = (14, 14, 16)
        if kind == BOX and coloured:
            fill = ((255, 244, 180), (214, 236, 250), (255, 255, 255))[int(rng.integers(3))]
        elif kind == BOX and rng.random() < 0.3:
            fill, ink = (12, 12, 14), (250, 250, 250)
        bubble = make_bubble(rng, kind, centre, half, line * float(rng.uniform(0.6, 0.95)), target, fill)
        return [Speech(place, bubble, block, words, ink)]
    return []


def place_sound(
    rng: np.random.Generator, spot: Spot, script: Script, language: str, page: tuple[int, int], taken: Sequence[Box], *,
    coloured: bool,
) -> Sound | None:  # fmt: skip
    """A sound of the panel in large letters, away from faces and bubbles; None when there is no room."""
    pair = script.sounds if rng.random() < 0.5 else SOUNDS[int(rng.integers(len(SOUNDS)))]
    words = pair[int(language == "ja")]
    x0, y0, x1, y1 = spot.room
    small = min(x1 - x0, y1 - y0)
    size = min(small * float(rng.uniform(0.14, 0.3)), min(page) * 0.13)
    hand = HANDS[str(rng.choice(["bold", "marker", "broad"]))]
    columns = language == "ja" and bool(rng.random() < 0.55)
    block = set_words(rng, words, language, size, hand, columns=columns, longest=12)
    scale = min(1.0, 0.8 * (x1 - x0) / (2 * block.half[0]), 0.8 * (y1 - y0) / (2 * block.half[1]))
    if size * scale < min(page) * 0.022:
        return None
    if scale < 1.0:
        block = set_words(rng, words, language, size * scale, hand, columns=columns, longest=12)
    stretch = float(rng.uniform(0.9, 1.25)) if not columns else 1.0
    turn = float(rng.uniform(-14, 14))
    lean = abs(math.sin(math.radians(turn)))
    wide, high = block.half[0], block.half[1] * stretch
    half = (wide + high * lean + block.size * 0.12, high + wide * lean + block.size * 0.12)
    avoid = [(box, 2.2) for box in spot.heads] + [(box, 0.3) for box in spot.bodies] + [(box, 8.0) for box in taken]
    found = find_place(rng, half, spot.room, page, avoid, (float(rng.random()), float(rng.random())))
    if found is None or found[1] > DEAREST:
        return None
    (x, y), _ = found
    light: Rgb = (252, 252, 252)
    dark: Rgb = (16, 14, 18)
    rgb, outline = (dark, light) if rng.random() < 0.6 else (light, dark)
    if coloured:
        rgb = ((226, 40, 44), (250, 196, 30), (40, 120, 220), (240, 110, 30))[int(rng.integers(4))]
        outline = dark if rng.random() < 0.6 else light
    return Sound(
        block, (x, y), turn, stretch, rgb, outline, (x - half[0], y - half[1], x + half[0], y + half[1]), words
    )
