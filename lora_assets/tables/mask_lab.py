"""Row types of the mask lab: masks of a sample under every preset, presets compared, frames taken apart into layers.

`refinement_sweep`, `refinement_presets` and `layers` belong to a whole tracker and lie at
`Store.table_path(name, tracker)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as row_default
from typing import Annotated

from lora_assets.tables.column import Column, Digest, Pixels, Sha256, Share

ImageNumber = Annotated[int, Column("number of the sampled mask, from 1: its folder is image_<number>", 1)]
Dataset = Annotated[str, Column("slug of the dataset")]
FramePath = Annotated[str, Column("path of the frame in its dataset")]
PresetName = Annotated[str, Column("name of the refinement preset, with what it changes")]
Seconds = Annotated[float, Column("seconds", 0.0)]
Objective = Annotated[float, Column("weighted mean of the measures against the judge; null: no judge", 0.0, 1.0)]


@dataclass(frozen=True, slots=True)
class SweptMask:
    """One sampled mask refined by one preset, and what was measured."""

    image: ImageNumber
    dataset: Dataset
    path: FramePath
    frame_sha256: Sha256
    detection_id: Digest
    preset: PresetName
    seconds: Annotated[float, Column("seconds that the preset took for all masks of the frame", 0.0)]
    area: Pixels
    coverage: Annotated[float, Column("mask area / frame area", 0.0, 1.0)]
    box_share: Annotated[float, Column("area of the mask's bounding box / frame area", 0.0, 1.0)]
    specks: Annotated[int, Column("pieces beside the largest", 0)]
    speck_share: Annotated[float, Column("share of the mask in them", 0.0, 1.0)]
    holes: Annotated[float, Column("enclosed background / (mask and enclosed background)", 0.0, 1.0)]
    judge: Annotated[str, Column("truth, the name of the second opinion, or empty: nothing to compare with")]
    iou: Annotated[float, Column("IoU with the judge's mask; null: no judge", 0.0, 1.0)] | None
    covered: Annotated[float, Column("share of the judge's mask that is covered; null: no judge", 0.0, 1.0)] | None
    exact: Annotated[float, Column("share of the mask that the judge has too; null: no judge", 0.0, 1.0)] | None
    boundary_f: Annotated[float, Column("boundary F at 0.8 % of the diagonal; null: no judge", 0.0, 1.0)] | None
    thin_kept: (
        Annotated[float, Column("share of the judge's thin parts left at latent 1/8; null: it has none", 0.0, 1.0)]
        | None
    )
    objective: Objective | None
    chosen_for: Annotated[
        list[str], Column("why the mask is in the sample: smallest, thin_parts, touching, random")
    ] = row_default(default_factory=list)


@dataclass(frozen=True, slots=True)
class PresetResult:
    """One preset over the whole sample: means over the masks that have the value."""

    preset: PresetName
    slug: Annotated[str, Column("the preset's name as the name of its folders")]
    steps: Annotated[str, Column("the chain in words")]
    parameters: Annotated[str, Column("all parameters as JSON")]
    images: Annotated[int, Column("sampled masks", 0)]
    seconds: Annotated[float, Column("seconds per frame", 0.0)]
    coverage: Annotated[float, Column("mean of mask area / frame area", 0.0, 1.0)]
    box_share: Annotated[float, Column("mean of bounding box / frame area", 0.0, 1.0)]
    hard_coverage: Annotated[float, Column("coverage of the smallest mask of the sample", 0.0, 1.0)]
    specks: Annotated[float, Column("mean count of specks", 0.0)]
    holes: Annotated[float, Column("mean share of holes", 0.0, 1.0)]
    judged: Annotated[int, Column("masks with truth or a second opinion", 0)]
    iou: Annotated[float, Column("mean IoU; null: no judge", 0.0, 1.0)] | None
    covered: Annotated[float, Column("mean share covered; null: no judge", 0.0, 1.0)] | None
    exact: Annotated[float, Column("mean share exact; null: no judge", 0.0, 1.0)] | None
    boundary_f: Annotated[float, Column("mean boundary F; null: no judge", 0.0, 1.0)] | None
    thin_kept: Annotated[float, Column("mean of thin parts kept; null: no judge, or none", 0.0, 1.0)] | None
    objective: Objective | None
    hard_objective: Annotated[float, Column("objective over the hard cases only; null: no judge", 0.0, 1.0)] | None
    on_front: Annotated[bool, Column("no preset is at once better and faster")] | None
    has_pictures: Annotated[bool, Column("its pictures are in the sweep's folder")]


@dataclass(frozen=True, slots=True)
class LayeredFrame:
    """A frame taken apart: the characters as RGBA, and the background with them painted out."""

    dataset: Dataset
    path: FramePath
    frame_sha256: Sha256
    characters: Annotated[int, Column("characters on the layer", 0)]
    hole_share: Annotated[Share, Column("share of the frame that was painted anew", 0.0, 1.0)]
    method: Annotated[str, Column("telea, ns or lama")]
    seconds: Seconds
    folder: Annotated[str, Column("folder of character.png and background.png below data/")]
    reason: Annotated[str, Column("why there are no layers; null where there are")] | None
