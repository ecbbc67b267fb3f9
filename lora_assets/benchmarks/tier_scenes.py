"""Drawn crops with a known defect at a known strength, and the rows that a detector and a segmenter would give them.

The labels come from the truth of the drawing (which pixels are whose, what was done to them), never from the program's
own measures; the rules that make a tier of them are in tier_rules. How well the checks find the defects is measured in
tiers.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lora_assets.benchmarks import tier_mask_damages as mask_damages
from lora_assets.benchmarks import tier_picture_damages as picture_damages
from lora_assets.benchmarks.tier_bases import Base, Damage, Damaged, draw_base, drawn_mask, visible_bases
from lora_assets.benchmarks.tier_rules import LabelledCrop
from lora_assets.scenes.truth import Box
from lora_assets.tables import Detection, Mask
from lora_assets.vision.masks import BoolMask, encode_mask, mask_bounds

SIZE = (640, 360)
FRAME = "0" * 64


def _nothing(_crop: Damaged, _base: Base, _rng: np.random.Generator) -> bool:
    return True


# A change of order draws other crops.
DAMAGES: dict[str, tuple[Damage, float]] = {
    "none": (_nothing, 7.0),
    "to_black": (picture_damages.fade_to_black, 1.2),
    "to_white": (picture_damages.fade_to_white, 0.8),
    "flat": (picture_damages.make_flat, 0.4),
    "empty": (mask_damages.leave_hardly_any, 0.4),
    "both": (mask_damages.take_neighbour, 3.0),
    "cut_below": (mask_damages.cut_below, 2.0),
    "without_head": (mask_damages.leave_out_head, 1.0),
    "by_the_frame": (picture_damages.cut_by_the_frame, 1.6),
    "blur": (picture_damages.blur, 1.6),
    "subtitle": (picture_damages.lay_subtitle, 1.6),
    "watermark": (picture_damages.lay_watermark, 1.0),
    "combs": (picture_damages.comb, 1.2),
    "bars": (picture_damages.lay_bars, 2.5),
    "background": (mask_damages.leave_background, 1.5),
    "holes": (mask_damages.cut_holes, 1.0),
    "specks": (mask_damages.add_specks, 1.0),
    "boxed": (mask_damages.fill_box, 0.6),
    "thin_ends": (mask_damages.lose_thin_ends, 1.0),
    "thing": (picture_damages.draw_thing, 2.0),
}


def labelled_crops(seed: int, size: tuple[int, int] = SIZE, per_scene: int = 5) -> Iterator[LabelledCrop]:
    """Up to `per_scene` labelled crops of one drawn scene; the same seed gives the same crops."""
    frame = draw_base(seed, *size)
    bases = visible_bases(frame)
    if not bases:
        return
    rng = np.random.default_rng([seed, 77])
    names = list(DAMAGES)
    shares = np.array([share for _, share in DAMAGES.values()])
    kinds = rng.choice(len(names), size=per_scene, replace=False, p=shares / shares.sum())
    for kind in kinds:
        name, base = names[int(kind)], bases[int(rng.integers(len(bases)))]
        crop = damaged_crop(seed, name, DAMAGES[name][0], base, rng)
        if crop is not None:
            yield crop


def damaged_crop(seed: int, kind: str, damage: Damage, base: Base, rng: np.random.Generator) -> LabelledCrop | None:
    """The base with one damage, labelled with the `kind`; None where it cannot be damaged so."""
    mask, box = drawn_mask(base.figure, base.others, rng), base.characters[base.subject].box
    crop = Damaged(base.image, mask, box, {}, base.figure, characters=base.characters)
    return labelled(seed, kind, crop, base, rng) if damage(crop, base, rng) else None


def labelled(seed: int, kind: str, crop: Damaged, base: Base, rng: np.random.Generator) -> LabelledCrop:
    """The damaged base as a crop with the rows of a detector and a segmenter; `kind` is the name of what was done."""
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
    return LabelledCrop(seed, kind, crop.image, tuple(detections), tuple(masks), crop.figure, dict(crop.strengths))


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
