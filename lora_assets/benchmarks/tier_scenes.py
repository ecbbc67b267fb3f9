"""Drawn crops with a known defect at a known strength, and the tier that a careful person would give them.

The labels come from the truth of the drawing (which pixels are whose, what was done to them), never from the program's
own measures. How well the checks find the defects is measured in tiers.py.

The written rules. A person looks at the crop as it would be trained on: the figure on a plain ground.
- high (train as it is): one character, as complete as the frame shows it, sharp, lit, nothing written over it. What the
  frame cuts off below the head is no defect: bust and half pictures are good pictures. A rim of background of up to 4
  pixels, grain, compression, a colour cast and a vignette are no defects either.
- medium (small mending by hand): exactly one mild defect.
- low: one grave defect, or two mild ones.
- Between "none" and "mild" of a defect, two careful people differ. Such a crop is *unsure* in that defect: its flag is
  neither right nor wrong there, and the crop counts neither for nor against its tier. The share of such crops is told.

The marks stand in RULES: a strength below `none` is no defect, from `mild` on mild, from `grave` on grave. Where nobody
can be told at all (black, white, flat, empty, a thing), no other defect is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.scenes.truth import Box, CharacterTruth, SceneFrame
from lora_assets.tables import Detection, Mask
from lora_assets.vision.masks import BoolMask, encode_mask, mask_bounds

SIZE = (640, 360)
FRAME = "0" * 64
_RIM = 4
_LEAST_FIGURE = 1500
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rule:
    """A defect: what its strength is, the marks of none, mild and grave, the flags one of which must name it, and the
    flags that are right beside them, as they name a part of it."""

    defect: str
    strength: str
    none: float
    mild: float
    grave: float
    flags: tuple[str, ...]
    also: tuple[str, ...] = ()


_NEVER = 9e9
_LEAK = ("background_left", "outside_box", "box_shaped")
_CUT = ("cut_body", "incomplete_body", "left_out", "missing_head", "headless", "box_gap")
RULES: tuple[Rule, ...] = (
    Rule("black", "share faded to black", 0.85, 0.92, 0.92, ("black", "flat")),
    Rule("white", "share faded to white", 0.8, 0.93, 0.93, ("flat", "faded")),
    Rule("flat", "1: the frame is one colour", 0.5, 0.5, 0.5, ("flat", "black")),
    Rule("empty", "1: fewer than 300 pixels are left", 0.5, 0.5, 0.5, ("empty",)),
    Rule("thing", "1: a thing or an animal, no character", 0.5, 0.5, 0.5, ("no_character", "unsupported")),
    Rule("several", "share of another one's head in the mask", 0.1, 0.6, 0.6,
         ("several_characters",), ("neighbour_left", *_LEAK, "specks")),
    Rule("neighbour", "share of the mask on another one", 0.03, 0.12, 0.35,
         ("neighbour_left", "several_characters"), (*_LEAK, "specks")),
    Rule("dark", "share faded to black", 0.5, 0.78, _NEVER, ("too_dark", "black")),
    Rule("pale", "share faded to white", 0.5, 0.78, 0.93, ("faded", "flat")),
    Rule("cut", "share of the visible figure that is cut off straight", 0.04, 0.2, 0.45, _CUT, ("specks",)),
    Rule("headless", "share of the visible head that the mask leaves out", 0.1, 0.6, 0.6, _CUT,
         ("specks", "unsupported")),
    Rule("head_out", "share of the head that the frame cuts off", 0.06, 0.15, 0.35, ("head_cut", "headless"),
         ("unsupported",)),
    Rule("blur", "sigma in pixels", 0.75, 2.0, 3.4, ("blurred",)),
    Rule("text", "share of the figure under lines of subtitle", 0.004, 0.03, 0.12, ("text_over",)),
    Rule("watermark", "share of the figure under faint strokes", 0.002, 0.012, _NEVER, ("text_over",)),
    Rule("combs", "pixels between the two fields", 0.5, 2.0, 8.0, ("interlaced",)),
    Rule("bars", "share of the mask on black bars", 0.004, 0.03, 0.2, ("bar_in_crop",)),
    Rule("background", "share of the mask on background beyond the rim", 0.03, 0.1, 0.3, _LEAK),
    Rule("holes", "share of the figure missing inside", 0.012, 0.05, 0.2, ("holes",)),
    Rule("specks", "share of the mask in stray pieces", 0.012, 0.05, 0.2, ("specks",), _LEAK),
    Rule("boxed", "1: the mask is its box", 0.5, 0.5, 0.5, ("box_shaped",), _LEAK),
    Rule("thin_ends", "share of the figure missing at thin ends", 0.02, 0.06, 0.3, ("left_out",), ("specks",)),
    Rule("small", "256 / longer side of the figure", 1.0, 1.0001, 1.6, ("small", "empty")),
)  # fmt: skip
RULE = {rule.defect: rule for rule in RULES}
_HIDES_ALL = ("black", "white", "flat", "empty", "thing")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledCrop:
    """A crop before it is judged: its frame, the rows that a detector and a segmenter would give, which of the masks is
    judged, and its truth: strength of each defect (those that are absent are left out)."""

    seed: int
    kind: str
    image: Picture
    detections: tuple[Detection, ...]
    masks: tuple[Mask, ...]
    strengths: dict[str, float] = field(default_factory=dict)

    @property
    def defects(self) -> dict[str, str]:
        """mild, grave or unsure for each defect that the crop has or may have."""
        found = {}
        for name, strength in self.strengths.items():
            rule = RULE[name]
            if strength >= rule.none:
                found[name] = "grave" if strength >= rule.grave else "mild" if strength >= rule.mild else "unsure"
        hidden = [name for name in _HIDES_ALL if found.get(name) == "grave"]
        return {name: found[name] for name in hidden} if hidden else found

    @property
    def hides_all(self) -> bool:
        """True when nobody can be told in it, so that other defects are not judged."""
        return any(self.defects.get(name) == "grave" for name in _HIDES_ALL)

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers that careful people would give; one unless it is unsure."""
        told = list(self.defects.values())
        lowest = told.count("grave") * 2 + told.count("mild") + told.count("unsure")
        highest = told.count("grave") * 2 + told.count("mild")
        names = ("high", "medium", "low")
        return names[min(2, highest) : min(2, lowest) + 1]

    @property
    def is_vetoed(self) -> bool:
        """True for what must never be high: black, white, flat, empty, a thing, several characters."""
        return any(self.defects.get(name) == "grave" for name in (*_HIDES_ALL, "several"))


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    """A drawn frame and one fully visible character of it, before damage."""

    image: Picture
    figure: BoolMask
    head: Box
    others: tuple[CharacterTruth, ...]
    characters: tuple[CharacterTruth, ...]
    subject: int


@dataclass(slots=True, eq=False)
class _Damaged:
    """A base on its way to a crop: picture, mask, box of the detector, strengths; `found` false: no head is found;
    `others_in` false: the bodies of the others were not found."""

    image: Picture
    mask: BoolMask
    box: Box
    strengths: dict[str, float]
    found: bool = True
    characters: tuple[CharacterTruth, ...] = ()
    others_in: bool = True


# --- drawing ---------------------------------------------------------------------------------------------------------


def draw_base(seed: int, width: int, height: int) -> SceneFrame:
    """A scene of one to three characters in a random style with nothing drawn before them, often with a harmless
    effect of film or network."""
    from lora_assets.scenes.design import design_of
    from lora_assets.scenes.effects import apply_effect
    from lora_assets.scenes.layout import IDENTITIES, random_items
    from lora_assets.scenes.stage import Cast, Stage, render_stage
    from lora_assets.scenes.styles import draw_style, finish_of, ink_of
    from lora_assets.scenes.tone import finished

    rng = np.random.default_rng([seed, width, height, 31])
    style = draw_style(rng)
    ink = ink_of(style, rng)
    designs = [
        design_of(int(i), "all") for i in rng.integers(IDENTITIES, size=int(rng.choice(3, p=(0.4, 0.45, 0.15))) + 1)
    ]
    framing = str(rng.choice(("face", "bust", "half", "full", "far"), p=(0.12, 0.27, 0.27, 0.3, 0.04)))
    items = random_items(rng, width, height, designs, ink, framing, str(rng.choice(("spread", "huddle"))))
    last_prop = next((i for i, item in enumerate(items) if isinstance(item, Cast)), len(items))
    kept = [item for i, item in enumerate(items) if i < last_prop or isinstance(item, Cast)]
    frame = render_stage(Stage(tuple(kept), int(rng.integers(1 << 30))), width, height, seed)
    frame = replace(frame, image=finished(frame.image, finish_of(style), rng), style=style)
    for name, strongest in (("graded", 0.6), ("vignette", 0.5), ("film_grain", 0.5), ("compressed", 0.5)):
        if rng.random() < 0.15:
            frame = apply_effect(frame, name, float(rng.uniform(0.1, strongest)), rng)
    return frame


def _bases(frame: SceneFrame) -> list[_Base]:
    """The characters of a frame that nobody hides and whose head the frame does not cut."""
    height, width = frame.image.shape[:2]
    found = []
    for index, each in enumerate(frame.characters):
        head = each.head_box
        if head is None or each.mask.sum() < _LEAST_FIGURE:
            continue
        if head[0] < 2 or head[1] < 2 or head[2] > width - 2 or head[3] > height - 2:
            continue
        near = cv2.dilate(each.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        if any((near & other.mask).any() for other in frame.characters[index + 1 :]):
            continue
        others = frame.characters[:index] + frame.characters[index + 1 :]
        found.append(_Base(frame.image, each.mask, head, others, frame.characters, index))
    return found


def _drawn_mask(figure: BoolMask, others: tuple[CharacterTruth, ...], rng: np.random.Generator) -> BoolMask:
    """The figure as a good segmenter and its refinement give it: exact, smoothed, or with a rim of up to 4 pixels."""
    levels = figure.astype(np.uint8)
    kind = int(rng.integers(3))
    if kind == 1:
        levels = np.asarray(cv2.medianBlur(levels, 5), np.uint8)
    elif kind == 2:
        reach = int(rng.integers(1, _RIM + 1))
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        levels = np.asarray(cv2.dilate(levels, ellipse), np.uint8)
        for other in others:
            levels[other.mask & ~figure] = 0
    return levels > 0


# --- damages ---------------------------------------------------------------------------------------------------------

Damage = Callable[[_Damaged, _Base, np.random.Generator], bool]
"""Damages the crop in place and writes the strength; False when it cannot be done to this base."""


def _pick(rng: np.random.Generator, *strengths: float) -> float:
    return float(strengths[int(rng.integers(len(strengths)))])


def _nothing(_crop: _Damaged, _base: _Base, _rng: np.random.Generator) -> bool:
    return True


def _fade(crop: _Damaged, white: bool, share: float) -> None:
    crop.image = cv2.convertScaleAbs(crop.image, alpha=1 - share, beta=255 * share if white else 0)  # pyright: ignore
    for name in ("white", "pale") if white else ("black", "dark"):
        crop.strengths[name] = share
    crop.found = share < 0.9


def _to_black(crop: _Damaged, _base: _Base, rng: np.random.Generator) -> bool:
    _fade(crop, False, _pick(rng, 0.2, 0.4, 0.65, 0.8, 0.83, 0.88, 0.93, 0.96, 0.98, 1.0))
    return True


def _to_white(crop: _Damaged, _base: _Base, rng: np.random.Generator) -> bool:
    _fade(crop, True, _pick(rng, 0.2, 0.4, 0.65, 0.8, 0.85, 0.94, 0.97, 1.0))
    return True


def _flat(crop: _Damaged, _base: _Base, rng: np.random.Generator) -> bool:
    noise = int(rng.integers(0, 3))
    image = np.full_like(crop.image, rng.integers(0, 256, 3, dtype=np.uint8))
    if noise:
        image = cv2.add(image, rng.integers(0, noise + 1, image.shape, dtype=np.uint8))
    crop.image, crop.found = np.asarray(image, np.uint8), False
    crop.strengths["flat"] = 1.0
    return True


def _empty(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    side = int(_pick(rng, 1, 3, 8, 15))
    ys, xs = np.nonzero(base.figure)
    at = int(rng.integers(len(ys)))
    left = np.zeros_like(crop.mask)
    left[ys[at] : ys[at] + side, xs[at] : xs[at] + side] = True
    crop.mask = left
    crop.strengths["empty"] = 1.0
    return True


def _both(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    """The segmenter took a neighbour too, or a part of it."""
    near = [each for each in base.others if each.mask.sum() >= 0.1 * base.figure.sum()]
    if not near:
        return False
    other = near[int(rng.integers(len(near)))]
    added = other.mask.copy()
    if rng.random() < 0.35 and mask_bounds(other.mask) is not None:
        ys = np.flatnonzero(other.mask.any(axis=1))
        added[: int(np.quantile(ys, rng.uniform(0.3, 0.8)))] = False
    crop.mask = crop.mask | added
    head = other.head_box
    if head is not None:
        part = np.s_[int(head[1]) : int(head[3]), int(head[0]) : int(head[2])]
        crop.strengths["several"] = float((crop.mask & other.mask)[part].sum() / max(1, other.mask[part].sum()))
    crop.strengths["neighbour"] = float((crop.mask & other.mask).sum() / crop.mask.sum())
    crop.box = _joined(crop.box, other.box) if rng.random() < 0.5 else crop.box
    crop.others_in = rng.random() < 0.85
    return True


def _joined(first: Box, second: Box) -> Box:
    return min(first[0], second[0]), min(first[1], second[1]), max(first[2], second[2]), max(first[3], second[3])


def _lost(crop: _Damaged, base: _Base, name: str) -> None:
    crop.strengths[name] = 1.0 - float((crop.mask & base.figure).sum() / base.figure.sum())


def _cut_below(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    """The mask ends though the body goes on; the detector's box with it, or not."""
    ys = np.nonzero(base.figure)[0]
    at = int(np.quantile(ys, 1.0 - _pick(rng, 0.03, 0.1, 0.25, 0.35, 0.5, 0.65)))
    if at < base.head[3]:
        return False
    crop.mask = crop.mask.copy()
    crop.mask[at:] = False
    _lost(crop, base, "cut")
    if rng.random() < 0.5:
        crop.box = (crop.box[0], crop.box[1], crop.box[2], min(crop.box[3], float(at)))
    return bool(crop.mask.any())


def _without_head(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    share = _pick(rng, 0.05, 0.7, 1.0)
    at = int(base.head[1] + share * (base.head[3] - base.head[1]))
    before = base.figure[int(base.head[1]) : int(base.head[3])].sum()
    crop.mask = crop.mask.copy()
    crop.mask[:at] = False
    kept = (crop.mask & base.figure)[int(base.head[1]) : int(base.head[3])].sum()
    crop.strengths["headless"] = 1.0 - float(kept / max(1, before))
    if rng.random() < 0.4:
        crop.box = (crop.box[0], float(at), crop.box[2], crop.box[3])
    return bool(crop.mask.sum() > 1000)


def _by_the_frame(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    """The frame itself is made smaller, so that it cuts the head, or the body below it."""
    if rng.random() < 0.6:
        share = _pick(rng, 0.03, 0.2, 0.28, 0.4, 0.6)
        top = round(base.head[1] + share * (base.head[3] - base.head[1]))
        crop.strengths["head_out"] = share
        rows = slice(top, None)
    else:
        low = max(base.head[3] + 8, np.quantile(np.nonzero(base.figure)[0], rng.uniform(0.4, 0.9)))
        rows, top = slice(0, int(low)), 0
    crop.image = np.ascontiguousarray(crop.image[rows])
    crop.mask = np.ascontiguousarray(crop.mask[rows])
    height = crop.image.shape[0]
    if height < 64 or not crop.mask.any():
        return False
    crop.box = _shifted(crop.box, top, height)
    crop.characters = tuple(
        replace(
            each, mask=each.mask[rows], box=_shifted(each.box, top, height),
            head_box=_shifted_part(each.head_box, top, height), face_box=_shifted_part(each.face_box, top, height),
        )
        for each in crop.characters
    )  # fmt: skip
    return True


def _shifted(box: Box, top: int, height: int) -> Box:
    return box[0], float(np.clip(box[1] - top, 0, height)), box[2], float(np.clip(box[3] - top, 0, height))


def _shifted_part(box: Box | None, top: int, height: int) -> Box | None:
    moved = None if box is None else _shifted(box, top, height)
    return moved if moved and box and moved[3] - moved[1] > 0.3 * (box[3] - box[1]) else None


def _blur(crop: _Damaged, _base: _Base, rng: np.random.Generator) -> bool:
    sigma = _pick(rng, 0.5, 0.7, 1.4, 2.0, 2.5, 3.0, 4.0, 6.0)
    crop.image = np.asarray(cv2.GaussianBlur(crop.image, (0, 0), sigma), np.uint8)
    crop.strengths["blur"] = sigma
    return True


def _lettered(crop: _Damaged, draw: Callable[..., list[Box]], *more: object) -> list[Box]:
    from lora_assets.scenes.weather import laid_over

    boxes: list[Box] = []
    crop.image = laid_over(crop.image, lambda canvas, width, height: boxes.extend(draw(canvas, *more, width, height)))
    return boxes


def _subtitle(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    from lora_assets.scenes.lettering import draw_subtitle

    height = crop.image.shape[0]
    foot = height * float(rng.uniform(0.6, 0.97))

    def draw(canvas: object, width: int, rows: int) -> list[Box]:
        return draw_subtitle(canvas, rng, width, rows, foot)  # pyright: ignore[reportArgumentType]

    under = np.zeros_like(crop.mask)
    boxes = _lettered(crop, draw)
    for box in boxes:
        under[max(0, int(box[1])) : int(box[3]) + 1, max(0, int(box[0])) : int(box[2]) + 1] = True
    share = float((under & base.figure).sum() / base.figure.sum())
    left, top, right, bottom = (int(value) for value in base.head)
    if under[(top + bottom) // 2 : bottom, left:right].mean() > 0.3:
        share = max(share, 0.12)
    crop.strengths["text"] = share
    return True


def _watermark(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    """A slanting line of white words across the frame, laid through the figure, more or less faint."""
    import skia

    from lora_assets.scenes.lettering import WORDS, latin_line, latin_width
    from lora_assets.scenes.weather import laid_over

    alpha = int(_pick(rng, 30, 90, 120, 160))
    text = WORDS[int(rng.integers(len(WORDS)))]
    ys, xs = np.nonzero(base.figure)
    width = base.figure.shape[1]
    size = width * float(rng.uniform(0.6, 0.9)) / max(latin_width(text, 1.0), 4.0)
    path = latin_line(text, width * 0.1, float(np.median(ys)) + size / 2, size)
    turn = skia.Matrix()
    turn.setRotate(float(rng.uniform(-25, 25)), float(np.median(xs)), float(np.median(ys)))
    path.transform(turn)

    def draw(canvas: skia.Canvas, _width: int, _height: int) -> None:
        paint = skia.Paint(AntiAlias=True, Color=skia.Color(255, 255, 255, alpha), Style=skia.Paint.kStroke_Style)
        paint.setStrokeWidth(size * 0.12)
        canvas.drawPath(path, paint)

    black = laid_over(np.zeros_like(crop.image), draw)[..., 0] > alpha // 2
    crop.image = laid_over(crop.image, draw)
    share = float((black & base.figure).sum() / base.figure.sum())
    crop.strengths["watermark"] = share if alpha >= 80 else min(share, 0.011)
    return True


def _combs(crop: _Damaged, _base: _Base, rng: np.random.Generator) -> bool:
    shift = int(_pick(rng, 1, 2, 3, 5, 9, 14))
    image = crop.image.copy()
    image[1::2, shift:] = crop.image[1::2, :-shift]
    crop.image = image
    crop.strengths["combs"] = float(shift)
    return True


def _bars(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    """Black bars over the frame's ends; the mask stops at them, or runs on over them."""
    height = crop.image.shape[0]
    bottom = int(np.flatnonzero(base.figure.any(axis=1))[-1])
    bar = int(height * rng.uniform(0.08, 0.16))
    if bottom < height - bar or base.head[3] > height - bar or base.head[1] < bar:
        return False
    image = crop.image.copy()
    image[:bar], image[height - bar :] = 0, 0
    crop.image, mask = image, crop.mask.copy()
    end = height - bar + round(bar * _pick(rng, 0.0, 0.0, 0.5, 1.0))
    mask[end:] = False
    crop.strengths["bars"] = float(mask[height - bar :].sum() / max(1, mask.sum()))
    crop.mask, crop.box = mask, (crop.box[0], crop.box[1], crop.box[2], float(max(end, 1)))
    crop.characters = tuple(replace(each, mask=_above(each.mask, height - bar)) for each in crop.characters)
    return bool(mask.any())


def _above(mask: BoolMask, row: int) -> BoolMask:
    kept = mask.copy()
    kept[row:] = False
    return kept


def _background(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    """Pieces of what lies behind the figure are left along its outline."""
    wanted = _pick(rng, 0.02, 0.14, 0.2, 0.3, 0.5) * float(base.figure.sum())
    foreign = np.zeros_like(base.figure)
    for other in base.others:
        foreign |= other.mask
    rim = cv2.dilate(base.figure.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ys, xs = np.nonzero(rim & ~base.figure)
    if not len(ys):
        return False
    levels = crop.mask.astype(np.uint8)
    beyond = ~(cv2.dilate(base.figure.astype(np.uint8), np.ones((2 * _RIM + 1,) * 2, np.uint8)) > 0) & ~foreign
    for _ in range(12):
        at = int(rng.integers(len(ys)))
        radius = max(8, round(np.sqrt(wanted / 2.5) * rng.uniform(0.5, 1.0)))
        cv2.ellipse(levels, (int(xs[at]), int(ys[at])), (radius, int(radius * rng.uniform(0.5, 1.0))), 0, 0, 360, 1, -1)
        levels[foreign & ~base.figure] = 0
        if ((levels > 0) & beyond).sum() >= wanted:
            break
    crop.mask = levels > 0
    crop.strengths["background"] = float((crop.mask & beyond).sum() / crop.mask.sum())
    crop.box = _bounds(crop.mask) if rng.random() < 0.5 else crop.box
    return True


def _bounds(mask: BoolMask) -> Box:
    x, y, width, height = mask_bounds(mask) or (0, 0, 1, 1)
    return float(x), float(y), float(x + width), float(y + height)


def _holes(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    wanted = _pick(rng, 0.007, 0.08, 0.15, 0.25) * float(base.figure.sum())
    inner = cv2.distanceTransform(base.figure.astype(np.uint8), cv2.DIST_L2, 3)
    count = int(rng.integers(1, 5))
    radius = max(2.0, float(np.sqrt(wanted / count / np.pi)))
    ys, xs = np.nonzero(inner > radius + 3)
    if not len(ys):
        return False
    levels = crop.mask.astype(np.uint8)
    for _ in range(count):
        at = int(rng.integers(len(ys)))
        cv2.circle(levels, (int(xs[at]), int(ys[at])), round(radius), 0, -1)
    lost = float(((levels == 0) & base.figure & crop.mask).sum() / base.figure.sum())
    crop.mask = levels > 0
    crop.strengths["holes"] = lost
    return True


def _specks(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    wanted = _pick(rng, 0.006, 0.08, 0.15, 0.3) * float(base.figure.sum())
    near = cv2.dilate(crop.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    for other in base.others:
        near |= other.mask
    x1, y1, x2, y2 = (int(value) for value in base.head)
    free = ~near
    pad = 40
    bounds = _bounds(base.figure)
    free[:, : max(0, int(bounds[0]) - pad)] = False
    free[:, int(bounds[2]) + pad :] = False
    ys, xs = np.nonzero(free)
    if len(ys) < 3 * wanted or (x2 - x1) * (y2 - y1) <= 0:
        return False
    levels = np.zeros(crop.mask.shape, np.uint8)
    count = int(rng.integers(2, 9))
    for _ in range(4 * count):
        at = int(rng.integers(len(ys)))
        cv2.circle(levels, (int(xs[at]), int(ys[at])), max(1, round(np.sqrt(wanted / count / np.pi))), 1, -1)
        levels[~free] = 0
        if levels.sum() >= wanted:
            break
    crop.mask = crop.mask | (levels > 0)
    crop.strengths["specks"] = float(levels.sum() / crop.mask.sum())
    return True


def _boxed(crop: _Damaged, base: _Base, _rng: np.random.Generator) -> bool:
    x1, y1, x2, y2 = (int(value) for value in _bounds(base.figure))
    mask = np.zeros_like(crop.mask)
    mask[y1:y2, x1:x2] = True
    if base.figure.sum() > 0.75 * mask.sum() or any((other.mask & mask).any() for other in base.others):
        return False
    crop.mask = mask
    crop.strengths["boxed"] = 1.0
    return True


def _thin_ends(crop: _Damaged, base: _Base, rng: np.random.Generator) -> bool:
    """Hair tips, arms and fingers are lost: the mask is opened."""
    side = int(_pick(rng, 5, 15, 25, 41, 61))
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    padded = cv2.copyMakeBorder(crop.mask.astype(np.uint8), side, side, side, side, cv2.BORDER_REPLICATE)
    opened = np.asarray(cv2.morphologyEx(padded, cv2.MORPH_OPEN, ellipse))[side:-side, side:-side] > 0
    if not opened.any():
        return False
    crop.mask = opened & crop.mask
    _lost(crop, base, "thin_ends")
    return crop.strengths["thin_ends"] < 0.4


def _thing(crop: _Damaged, _base: _Base, rng: np.random.Generator) -> bool:
    """Instead of the character: a thing or an animal drawn over the place, found as a person."""
    from lora_assets.scenes.ink import raster
    from lora_assets.scenes.props import ANIMALS, CLUTTER, OBJECTS, STREET, draw_prop

    names = sorted({*ANIMALS, *CLUTTER, *OBJECTS, *STREET})
    name = names[int(rng.integers(len(names)))]
    height, width = crop.mask.shape
    pixels, surface = raster(width, height)
    size = height * float(rng.uniform(0.5, 0.8))
    foot = (width * float(rng.uniform(0.35, 0.65)), height * 0.92)
    with surface as canvas:
        draw_prop(canvas, name, int(rng.integers(1 << 30)), foot, size, mirrored=bool(rng.random() < 0.5))
    mask = pixels[..., 3] > 127
    if mask.sum() < 4000:
        return False
    image = crop.image.copy()
    image[mask] = pixels[mask][:, 2::-1]
    crop.image, crop.mask, crop.box = image, mask, _bounds(mask)
    crop.characters = tuple(
        replace(
            each,
            mask=each.mask & ~mask,
            head_box=_uncovered(each.head_box, mask),
            face_box=_uncovered(each.face_box, mask),
        )
        for each in crop.characters
    )
    crop.strengths["thing"] = 1.0
    return True


def _uncovered(box: Box | None, mask: BoolMask) -> Box | None:
    """The box, unless a mask laid over it hides a fifth of it."""
    if box is None:
        return None
    hidden = mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
    return None if hidden.size and hidden.mean() > 0.2 else box


DAMAGES: dict[str, tuple[Damage, float]] = {
    "none": (_nothing, 7.0), "to_black": (_to_black, 1.2), "to_white": (_to_white, 0.8), "flat": (_flat, 0.4),
    "empty": (_empty, 0.4), "both": (_both, 3.0), "cut_below": (_cut_below, 2.0), "without_head": (_without_head, 1.0),
    "by_the_frame": (_by_the_frame, 1.6), "blur": (_blur, 1.6), "subtitle": (_subtitle, 1.6),
    "watermark": (_watermark, 1.0), "combs": (_combs, 1.2), "bars": (_bars, 2.5), "background": (_background, 1.5),
    "holes": (_holes, 1.0), "specks": (_specks, 1.0), "boxed": (_boxed, 0.6), "thin_ends": (_thin_ends, 1.0),
    "thing": (_thing, 2.0),
}  # fmt: skip


# --- crops -----------------------------------------------------------------------------------------------------------


def labelled_crops(seed: int, size: tuple[int, int] = SIZE, per_scene: int = 5) -> Iterator[LabelledCrop]:
    """Up to `per_scene` labelled crops of one drawn scene; the same seed gives the same crops."""
    frame = draw_base(seed, *size)
    bases = _bases(frame)
    if not bases:
        return
    rng = np.random.default_rng([seed, 77])
    names = list(DAMAGES)
    shares = np.array([share for _, share in DAMAGES.values()])
    kinds = rng.choice(len(names), size=per_scene, replace=False, p=shares / shares.sum())
    for kind in kinds:
        name, base = names[int(kind)], bases[int(rng.integers(len(bases)))]
        own = base.characters[base.subject]
        mask = _drawn_mask(base.figure, base.others, rng)
        crop = _Damaged(frame.image, mask, own.box, {}, characters=frame.characters)
        if DAMAGES[name][0](crop, base, rng):
            yield _labelled(seed, name, crop, base, rng)


def _labelled(seed: int, kind: str, crop: _Damaged, base: _Base, rng: np.random.Generator) -> LabelledCrop:
    bounds = mask_bounds(crop.mask)
    if bounds is not None and "small" not in crop.strengths:
        crop.strengths["small"] = 256.0 / max(bounds[2:])
    detections, masks = [], []
    for index, each in enumerate(crop.characters):
        is_own = index == base.subject and kind != "thing"
        if not is_own and each.mask.sum() < 64:
            continue
        found = [part if crop.found and rng.random() < sure else None
                 for part, sure in ((each.head_box, 0.96), (each.face_box, 0.92))]  # fmt: skip
        box, mask = (crop.box, crop.mask) if is_own else (each.box, each.mask)
        row, parts = _detections(f"{index:04d}", box, found[0], found[1], crop.image.shape, rng)
        detections += parts
        if not is_own and not crop.others_in:
            continue
        detections.append(row)
        (masks.insert if is_own else lambda _at, new: masks.append(new))(0, _mask_row(mask, f"{index:04d}"))
    if kind == "thing":
        row, _ = _detections("thing", crop.box, None, None, crop.image.shape, rng)
        detections.append(row)
        masks.insert(0, _mask_row(crop.mask, "thing"))
    return LabelledCrop(seed, kind, crop.image, tuple(detections), tuple(masks), dict(crop.strengths))


def _detections(
    name: str, box: Box, head: Box | None, face: Box | None, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[Detection, list[Detection]]:
    """A person as a detector finds it, with its head and face; boxes are off by about 2 %."""

    def off(exact: Box) -> tuple[float, float, float, float]:
        dx, dy = 0.015 * (exact[2] - exact[0]), 0.015 * (exact[3] - exact[1])
        moved = np.array(exact) + rng.normal(0, 1, 4) * (dx, dy, dx, dy)
        x1, x2 = np.sort(np.clip(moved[::2], 0, shape[1]))
        y1, y2 = np.sort(np.clip(moved[1::2], 0, shape[0]))
        return float(x1), float(y1), float(x2), float(y2)

    sure = {label: float(rng.uniform(0.5, 0.95)) for label, part in (("head", head), ("face", face)) if part}
    parts = [
        Detection(FRAME, f"{label}{name}", label, sure[label], *off(part), "drawn", False)
        for label, part in (("head", head), ("face", face)) if part is not None
    ]  # fmt: skip
    inside = [each for each in parts if each.y2 > box[1] and (each.y1 + each.y2) / 2 < box[1] + 0.6 * (box[3] - box[1])]
    told = {each.label: each.confidence for each in inside}
    agreement = 1.0 - float(np.prod([1.0 - value for value in told.values()]))
    row = Detection(
        FRAME, name, "person", float(rng.uniform(0.5, 0.95)), *off(box), "drawn", True, body_from="detected",
        head_in_box=told.get("head"), face_in_box=told.get("face"), agreement=agreement,
    )  # fmt: skip
    return row, parts


def _mask_row(mask: BoolMask, name: str) -> Mask:
    x, y, width, height = mask_bounds(mask) or (0, 0, mask.shape[1], mask.shape[0])
    kept = np.ascontiguousarray(mask[y : y + height, x : x + width])
    area = int(kept.sum())
    return Mask(FRAME, name, x, y, width, height, encode_mask(kept), area, area / mask.size, 0.9, 0.9)
