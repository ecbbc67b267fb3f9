"""Random layout of a scene: who stands where, how near, with which things before and behind, in which ink.

Drawing the layout is done by stage.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lora_assets.scenes.body import skeleton_of, sole_depth
from lora_assets.scenes.design import Design, design_of
from lora_assets.scenes.ink import Ink
from lora_assets.scenes.pose import Pose, draw_pose
from lora_assets.scenes.props import ANIMALS, CLUTTER, OBJECTS, STREET
from lora_assets.scenes.stage import Cast, Prop, Stage

IDENTITIES = 100_000
FRAMINGS = ("face", "bust", "half", "full", "far")
FRAMING_SHARES = (0.13, 0.25, 0.26, 0.27, 0.09)
COUNT_SHARES = (0.12, 0.46, 0.26, 0.09, 0.035, 0.015, 0.01, 0.005, 0.005)
"""How often a random scene has 0, 1, 2 ... characters."""
GROUPINGS = ("spread", "huddle", "row")
GROUPING_SHARES = (0.7, 0.15, 0.15)
PROP_KINDS = (tuple(STREET), tuple(ANIMALS), tuple(OBJECTS), tuple(CLUTTER))
PROP_SHARES = (0.26, 0.26, 0.28, 0.2)
LOW_PROPS = ("bush", "table", "fence", "car", "bus", "rabbit", "bicycle", "cake", "bowl", "fruit")
HIGH_PROPS = ("bird", "poster", "plane", "fish", "balloons", "lantern", "flags", "hung_clothes")
TALL_PROPS = ("curtain", "trunk", "rope")


def random_stage(
    rng: np.random.Generator, width: int, height: int, characters: int | None, ink: Ink, *, bars: bool,
    looks: str = "all", framing: str | None = None,
) -> Stage:  # fmt: skip
    """A random scene layout with up to 8 characters, or exactly `characters`.

    `bars` allows what the frame's edge and the lens do: black bars, a background out of focus, smeared figures.
    """
    count = int(rng.choice(len(COUNT_SHARES), p=COUNT_SHARES)) if characters is None else characters
    grouping = "row" if count > 5 else str(rng.choice(GROUPINGS, p=GROUPING_SHARES))
    designs = _designs(rng, count, looks, alike=grouping != "spread" and rng.random() < 0.4)
    items = random_items(rng, width, height, designs, ink, framing, grouping)
    bar, side_bar, blur, smear = 0, 0, 0.0, (0.0, 0.0)
    if bars:
        bar = int(height * rng.uniform(0.05, 0.14)) if rng.random() < 0.05 else 0
        side_bar = int(width * rng.uniform(0.06, 0.16)) if rng.random() < 0.035 else 0
        blur = float(rng.uniform(0.1, 1.0)) if rng.random() < 0.12 else 0.0
        smear = (float(rng.uniform(0.1, 0.8)), float(rng.uniform(0, np.pi))) if rng.random() < 0.03 else smear
    return Stage(
        tuple(items), int(rng.integers(1 << 30)), bar=bar, side_bar=side_bar, background_blur=blur, smear=smear
    )


def random_items(
    rng: np.random.Generator, width: int, height: int, designs: Sequence[Design], ink: Ink, framing: str | None,
    grouping: str = "spread",
) -> list[Cast | Prop]:  # fmt: skip
    """Characters of the given designs among random things, from back to front; `grouping` is one of GROUPINGS."""
    behind = int(rng.choice(5, p=[0.3, 0.32, 0.2, 0.12, 0.06]))
    if not designs:
        # A world without characters teaches what a character is not: it shows more that could be taken for one.
        behind += int(rng.integers(1, 5))
    items: list[Cast | Prop] = [_random_prop(rng, width, height, 0.12, 0.6) for _ in range(behind)]
    for cast in _random_casts(rng, width, height, designs, ink, framing, grouping):
        if rng.random() < 0.35:
            items.append(_shadow_of(cast, rng))
        items.append(cast)
        if rng.random() < 0.14:
            items.append(_random_prop(rng, width, height, 0.2, 0.7))
    if rng.random() < 0.05:
        items.append(_random_prop(rng, width, height, 0.7, 1.3))
    if rng.random() < 0.05:
        items.append(_speech_bubble(rng, width, height, [item.chin for item in items if isinstance(item, Cast)]))
    return items


def _random_casts(
    rng: np.random.Generator, width: int, height: int, designs: Sequence[Design], ink: Ink, framing: str | None,
    grouping: str,
) -> list[Cast]:  # fmt: skip
    """Characters from back to front: spread over the frame, huddled together, or in a row (two from seven on)."""
    count = len(designs)
    common = framing or str(rng.choice(FRAMINGS if grouping == "spread" else FRAMINGS[1:],
                                       p=None if grouping != "spread" else FRAMING_SHARES))  # fmt: skip
    if framing is None and count > 5:
        common = str(rng.choice(("half", "full", "full")))
    crowd = float(rng.uniform(0.2, 0.5) if grouping == "huddle" else rng.uniform(0.55, 1.0))
    if grouping == "spread" and rng.random() < 0.65:
        crowd = 1.0
    casts = []
    for slot in rng.permutation(count).tolist():
        own = common
        if framing is None and grouping == "spread" and rng.random() > 0.7:
            own = str(rng.choice(FRAMINGS, p=FRAMING_SHARES))
        at = ((slot + 0.5) / count - 0.5) * crowd + 0.5
        cast = _random_cast(rng, width, height, own, at, count, ink, designs[slot])
        if grouping == "row" and count > 3:
            cast = _in_row(cast, rng, width, height, slot, count)
        casts.append(cast)
    if grouping == "row":
        casts.sort(key=lambda cast: cast.head_height * cast.design.heads + cast.chin[1] * 0.5)
    return casts


def _designs(rng: np.random.Generator, count: int, looks: str, *, alike: bool) -> list[Design]:
    """Designs of random identities; `alike` picks those whose hair and clothes come nearest to the first one's."""
    designs = [design_of(int(identity), looks) for identity in rng.integers(IDENTITIES, size=count)]
    if not alike or count < 2:
        return designs
    first = np.array([*designs[0].hair, *designs[0].cloth])
    chosen = designs[:1]
    for _ in range(count - 1):
        others = [design_of(int(identity), looks) for identity in rng.integers(IDENTITIES, size=6)]
        chosen.append(min(others, key=lambda d: float(np.abs(np.array([*d.hair, *d.cloth]) - first).sum())))
    return chosen


def ground_of(design: Design, pose: Pose) -> float:
    """How far the ground lies below the chin (head heights): under the pose, or under a standing one if it lies."""
    return design.heads - 1 if pose.roll else sole_depth(skeleton_of(design, pose))


def _in_row(cast: Cast, rng: np.random.Generator, width: int, height: int, slot: int, count: int) -> Cast:
    """A character of a crowd: near enough to its neighbours to touch them, the second row higher behind the first."""
    rows = 2 if count > 6 else 1
    per_row = -(-count // rows)
    behind, place = divmod(slot, per_row)
    size = min(cast.head_height, width / per_row * float(rng.uniform(0.5, 0.8)))
    step = min(width * 0.98 / per_row, size * float(rng.uniform(1.0, 1.6)))
    x = width / 2 + (place - (per_row - 1) / 2 + 0.5 * behind) * step
    ground = ground_of(cast.design, cast.pose)
    foot = cast.chin[1] + ground * cast.head_height
    chin = foot - ground * size if foot < height * 1.02 else height * 0.45
    return replace(cast, chin=(x, max(size * 0.6, chin - behind * size * 0.9)), head_height=size)


def _random_cast(
    rng: np.random.Generator, width: int, height: int, framing: str, at: float, count: int, ink: Ink, design: Design
) -> Cast:
    shown = {"face": 1.35, "bust": 2.4, "half": 0.62 * design.heads, "full": design.heads}.get(
        framing, design.heads * 2.4
    )
    if framing != "far":
        shown = min(max(shown, 1.35), design.heads + 0.3)
    size = height / (shown + 0.45) * float(rng.uniform(0.45 if framing == "full" else 0.8, 1.1))
    pose = draw_pose(rng)
    if framing in ("full", "far"):
        y = height * float(rng.uniform(0.72, 0.99)) - ground_of(design, pose) * size
        # Drawn films cut feet off rather than heads.
        y = max(y, size * float(rng.uniform(0.9, 1.4))) if rng.random() < 0.85 else y
    else:
        y = size * (1.12 + float(rng.uniform(-0.15, 0.4)))
    x = width * (at + float(rng.normal(0, 0.1)) / max(count, 1))
    y = max(y, size * 0.35)
    if rng.random() < 0.1:
        x, y = _cut(rng, x, y, size, design, width, height)
    return Cast(design, pose, ink, (x, y), size)


def _cut(
    rng: np.random.Generator, x: float, y: float, size: float, design: Design, width: int, height: int
) -> tuple[float, float]:
    """The chin moved so that one edge of the frame cuts the character through."""
    side = int(rng.integers(4))
    if side == 0:
        return float(rng.uniform(-0.3, 0.35)) * size, y
    if side == 1:
        return width - float(rng.uniform(-0.3, 0.35)) * size, y
    if side == 2:
        return x, -float(rng.uniform(0.0, 0.4)) * design.heads * size
    return x, height + float(rng.uniform(-0.5, 0.5)) * size


def _shadow_of(cast: Cast, rng: np.random.Generator) -> Prop:
    """The shadow on the ground under a standing character."""
    foot = cast.chin[1] + ground_of(cast.design, cast.pose) * cast.head_height
    return Prop(
        "shadow", int(rng.integers(1 << 30)), (cast.chin[0], foot), cast.head_height * float(rng.uniform(0.6, 1.1))
    )


def _speech_bubble(rng: np.random.Generator, width: int, height: int, chins: list[tuple[float, float]]) -> Prop:
    """A speech balloon over everything else, away from faces as far as there is room."""
    places = [(width * float(x), height * float(y)) for x, y in rng.uniform((0.1, 0.3), (0.9, 0.7), (8, 2))]
    foot = max(places, key=lambda place: min((math.dist(place, chin) for chin in chins), default=0.0))
    size = height * float(rng.uniform(0.15, 0.4))
    return Prop("speech_bubble", int(rng.integers(1 << 30)), foot, size, mirrored=bool(rng.random() < 0.5))


def _random_prop(rng: np.random.Generator, width: int, height: int, least: float, most: float) -> Prop:
    size = height * float(rng.uniform(least, most))
    names = PROP_KINDS[int(rng.choice(len(PROP_KINDS), p=PROP_SHARES))]
    name = names[int(rng.integers(len(names)))]
    foot = (float(rng.uniform(0, width)), height * float(rng.uniform(0.7, 1.05)))
    if name in LOW_PROPS:
        size *= 0.6
    elif name in HIGH_PROPS:
        foot = (foot[0], height * float(rng.uniform(0.25, 0.75)))
        size *= 0.7
    elif name in TALL_PROPS:
        size *= 1.6
    return Prop(name, int(rng.integers(1 << 30)), foot, size, mirrored=bool(rng.random() < 0.5))
