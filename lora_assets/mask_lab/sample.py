"""Which masks a sweep looks at: a quarter each the smallest, the thinnest and touching pairs, the rest by chance.

The seed decides; a frame is taken once, but for the two of a pair, as long as there are others. What belongs elsewhere:
where masks come from (frames), what is measured on them (sweeping).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lora_assets.mask_lab.file_names import image_folder
from lora_assets.mask_lab.frames import LabFrame, LabSource
from lora_assets.mask_lab.measures import thin_parts
from lora_assets.mask_lab.settings import MaskLabSettings
from lora_assets.tables import Mask
from lora_assets.vision.masks import mask_bounds, mask_pixels, place_pixels

SMALLEST, THIN, TOUCHING, RANDOM = "smallest", "thin_parts", "touching", "random"
POOL_FRAMES = 240
"""Frames, drawn with the seed, whose masks are looked at for thin parts and pairs: decoding all would take minutes."""
_LEAST_AREA = 16
_TOUCH = 4
_THIN_CELLS = 3
"""Segmenters seldom draw what is thinner than one cell of the latent; limbs and hair show where they had to."""


@dataclass(frozen=True, slots=True)
class SampledMask:
    """One mask of the sample: its frame's rows before refinement, which of them it is, and why it was chosen.

    `detail`: share of the frame for the smallest, share of thin parts, or gap in pixels to the neighbour.
    """

    number: int
    source: LabSource
    frame_sha256: str
    rows: tuple[Mask, ...]
    index: int
    chosen_for: tuple[str, ...]
    detail: float

    @property
    def row(self) -> Mask:
        """The mask's own row."""
        return self.rows[self.index]

    @property
    def frame(self) -> LabFrame:
        """Its frame."""
        return self.source.frames[self.frame_sha256]

    @property
    def path(self) -> str:
        """Path of its frame in the dataset."""
        return self.frame.names[0]

    @property
    def told(self) -> str:
        """How notes name it: the frame's file, and the folder of its pictures."""
        return f"{self.path} ({image_folder(self.number)})"

    @property
    def is_hard(self) -> bool:
        """True unless chance chose it."""
        return self.chosen_for != (RANDOM,)


@dataclass(frozen=True, slots=True)
class _Found:
    source: int
    frame: str
    detection: str
    area: int
    share: float
    thin: float = 0.0
    gap: float = math.inf
    partner: str = ""

    @property
    def key(self) -> tuple[int, str, str]:
        return self.source, self.frame, self.detection


def pool_of(frames: Sequence[str], settings: MaskLabSettings, most: int) -> list[str]:
    """Up to `most` frames, drawn with the seed."""
    known = sorted(frames)
    order = np.random.default_rng([settings.seed, 8]).permutation(len(known))
    return [known[place] for place in sorted(order[:most])]


def choose_sample(sources: Sequence[LabSource], settings: MaskLabSettings) -> tuple[list[SampledMask], int]:
    """The sample, numbered from 1, hard cases first; and how many masks there were to choose from."""
    everything = list(_all_masks(sources))
    if not everything:
        return [], 0
    looked = _looked_at(sources, everything, settings)
    chosen = _chosen(everything, looked, settings)
    rows: dict[tuple[int, str], tuple[Mask, ...]] = {}
    for place, source in enumerate(sources):
        wanted = {each.frame for each, _, _ in chosen if each.source == place}
        for _, masks in source.rows(wanted):
            for frame in {mask.frame_sha256 for mask in masks}:
                rows[place, frame] = tuple(mask for mask in masks if mask.frame_sha256 == frame)
    found = []
    for number, (each, reasons, detail) in enumerate(chosen, start=1):
        of_frame = rows[each.source, each.frame]
        index = next(place for place, mask in enumerate(of_frame) if mask.detection_id == each.detection)
        found.append(SampledMask(number, sources[each.source], each.frame, of_frame, index, reasons, detail))
    return found, len(everything)


def _all_masks(sources: Sequence[LabSource]) -> Iterable[_Found]:
    for place, source in enumerate(sources):
        for _, rows in source.rows(source.frames):
            for row in rows:
                if row.area >= _LEAST_AREA:
                    yield _Found(place, row.frame_sha256, row.detection_id, row.area, row.coverage)


def _looked_at(sources: Sequence[LabSource], masks: Sequence[_Found], settings: MaskLabSettings) -> list[_Found]:
    """The masks of the pool's frames with their share of thin parts and the gap to the nearest neighbour."""
    frames = sorted({(each.source, each.frame) for each in masks})
    order = np.random.default_rng([settings.seed, 9]).permutation(len(frames))[:POOL_FRAMES]
    pool = {frames[place] for place in order}
    known = {each.key: each for each in masks}
    found: list[_Found] = []
    for place, source in enumerate(sources):
        for _, rows in source.rows({frame for at, frame in pool if at == place}):
            of_frame: dict[str, list[Mask]] = {}
            for row in rows:
                if (place, row.frame_sha256, row.detection_id) in known:
                    of_frame.setdefault(row.frame_sha256, []).append(row)
            for frame, these in of_frame.items():
                found += _measured(place, frame, these, known)
    return found


def _measured(
    place: int, frame: str, rows: Sequence[Mask], known: dict[tuple[int, str, str], _Found]
) -> Iterable[_Found]:
    for row in rows:
        base = known[place, frame, row.detection_id]
        thin = float(thin_parts(_own_window(row), _THIN_CELLS).sum()) / max(1, row.area)
        gaps = [(_gap(row, other), other.detection_id) for other in rows if other is not row]
        gap, partner = min(gaps, default=(math.inf, ""))
        yield _Found(place, frame, row.detection_id, base.area, base.share, thin, gap, partner)


def _own_window(row: Mask) -> np.ndarray:
    pixels = mask_pixels(row)
    x, y, width, height = mask_bounds(pixels) or (0, 0, row.width, row.height)
    return np.pad(pixels[y : y + height, x : x + width], 2)


def _gap(one: Mask, other: Mask) -> float:
    """Pixels between two masks, 0 where they overlap; infinite beyond 4."""
    left, top = max(one.x - _TOUCH, other.x), max(one.y - _TOUCH, other.y)
    right = min(one.x + one.width + _TOUCH, other.x + other.width)
    bottom = min(one.y + one.height + _TOUCH, other.y + other.height)
    if left >= right or top >= bottom:
        return math.inf
    window = (left - _TOUCH, top - _TOUCH, right - left + 2 * _TOUCH, bottom - top + 2 * _TOUCH)
    first = place_pixels(mask_pixels(one), one.x, one.y, window)
    second = place_pixels(mask_pixels(other), other.x, other.y, window)
    if not first.any() or not second.any():
        return math.inf
    distance = np.asarray(cv2.distanceTransform((~first).astype(np.uint8), cv2.DIST_L2, 3))
    gap = float(distance[second].min())
    return gap if gap <= _TOUCH else math.inf


def _chosen(
    everything: Sequence[_Found], looked: Sequence[_Found], settings: MaskLabSettings
) -> list[tuple[_Found, tuple[str, ...], float]]:
    quota = max(1, settings.sample // 4)
    by_key = {each.key: each for each in looked}
    taken: dict[tuple[int, str, str], tuple[_Found, list[str], float]] = {}
    frames: set[tuple[int, str]] = set()

    def take(each: _Found, reason: str, detail: float) -> None:
        frames.add((each.source, each.frame))
        taken.setdefault(each.key, (each, [], detail))[1].append(reason)

    def fill(candidates: Sequence[_Found], reason: str, detail: str, most: int) -> None:
        """Take `most` of the candidates, those of frames that nothing was taken from first. One that is there already
        gets the further reason, and counts."""
        count = 0
        for again in (False, True):
            for each in candidates:
                if count == most or len(taken) == settings.sample:
                    return
                if each.key in taken:
                    if reason != RANDOM and reason not in taken[each.key][1]:
                        taken[each.key][1].append(reason)
                        count += 1
                elif again or (each.source, each.frame) not in frames:
                    take(each, reason, float(getattr(each, detail)) if detail else 0.0)
                    count += 1

    pairs = sorted((each for each in looked if math.isfinite(each.gap)), key=lambda each: (each.gap, each.key))
    for each in pairs:
        if sum(TOUCHING in reasons for _, reasons, _ in taken.values()) >= quota or len(taken) >= settings.sample:
            break
        partner = by_key[each.source, each.frame, each.partner]
        if (each.source, each.frame) in frames:
            continue
        take(each, TOUCHING, each.gap)
        if len(taken) < settings.sample:
            take(partner, TOUCHING, each.gap)
    fill(sorted(everything, key=lambda each: (each.area, each.key)), SMALLEST, "share", quota)
    thin = sorted((each for each in looked if each.thin > 0), key=lambda each: (-each.thin, each.key))
    fill(thin, THIN, "thin", quota)
    order = np.random.default_rng([settings.seed, 10]).permutation(len(everything))
    fill([everything[place] for place in order], RANDOM, "", settings.sample)
    ranks = {reason: place for place, reason in enumerate((SMALLEST, THIN, TOUCHING, RANDOM))}
    found = sorted(
        taken.values(), key=lambda one: (ranks[one[1][0]], one[2] if one[1][0] != THIN else -one[2], one[0].key)
    )
    return [(each, tuple(dict.fromkeys(reasons)), detail) for each, reasons, detail in found]
