"""Shots, characters, groups of alike crops and the split, measured on drawn films whose truth is known.

Boxes and masks are the renderer's, the thumbnails, descriptors and everything after them are those of the main line.
What belongs elsewhere: drawing the films (drawn_films), what is measured (identity, curation).
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_assets.benchmarks.drawn_films import CropTruth, FilmTruth, write_film
from lora_assets.curation.drawing import characters_sheet, chosen_sheet, groups_sheet
from lora_assets.curation.groups import make_groups
from lora_assets.curation.making import make_curated
from lora_assets.curation.settings import CurateSettings
from lora_assets.identity.descriptions import find_shots
from lora_assets.identity.making import make_characters
from lora_assets.identity.tracker_crops import read_crops
from lora_assets.scenes.shots import draw_shots
from lora_assets.store import Store, atomic_write_bytes
from lora_assets.tables import CharacterCrop, CropGroup, CuratedCrop
from lora_assets.vision.crops import encode_png

_TOLERANCE = 2


@dataclass(slots=True)
class Tally:
    """Counts that precision, recall, purity and completeness are made of."""

    right: int = 0
    found: int = 0
    true: int = 0

    @property
    def precision(self) -> float:
        """Right ones of those found; 1 when nothing was found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Right ones of those that are true; 1 when there are none."""
        return self.right / self.true if self.true else 1.0


def shot_boundaries(truth: Sequence[int], found: Sequence[str]) -> Tally:
    """Boundaries found within two frames of a true one (a dissolve begins somewhere in its first frames)."""
    real = [place for place in range(1, len(truth)) if truth[place] != truth[place - 1]]
    told = [place for place in range(1, len(found)) if found[place] != found[place - 1]]
    right = sum(any(abs(place - one) <= _TOLERANCE for one in told) for place in real)
    false = sum(not any(abs(place - one) <= _TOLERANCE for place in real) for one in told)
    return Tally(right, right + false, len(real))


def purity_and_completeness(rows: Sequence[CharacterCrop], truth: dict[str, CropTruth]) -> tuple[Tally, Tally, float]:
    """Purity: crops of the most frequent identity of their character. Completeness: crops in the character that holds
    most of their identity. Both over crops that were given a character (Manning et al. 2008, 16.3); their share."""
    given = [row for row in rows if row.character_id]
    pairs = Counter((row.character_id, truth[row.crop_id].identity) for row in given)
    ids, identities = {id for id, _ in pairs}, {identity for _, identity in pairs}
    pure = sum(max(pairs[id, identity] for identity in identities) for id in ids)
    whole = sum(max(pairs[id, identity] for id in ids) for identity in identities)
    return Tally(pure, len(given), len(given)), Tally(whole, len(given), len(given)), len(given) / max(1, len(rows))


def alike_pairs(rows: Sequence[CropGroup], truth: dict[str, CropTruth]) -> tuple[Tally, Tally]:
    """Precision of the pairs found as one drawing, and of those found as one group.

    A found pair is right when it is the same figure in the same shot: a drawing that is moved on so little that no
    pixel tells it may be called the same. Mixed frames (dissolves, fades) are left out.
    """
    drawing, group = Tally(), Tally()
    clean = [row for row in rows if not truth[row.crop_id].mixed]
    for one, other in itertools.combinations(clean, 2):
        a, b = truth[one.crop_id], truth[other.crop_id]
        shot = a.film == b.film and (a.identity, a.shot) == (b.identity, b.shot)
        if one.drawing == other.drawing:
            drawing.found += 1
            drawing.right += shot
        if one.group == other.group:
            group.found += 1
            group.right += shot
    return drawing, group


def missed_twins(rows: Sequence[CropGroup], truth: dict[str, CropTruth]) -> Tally:
    """Pairs of the same drawing through the same camera that are found as one drawing."""
    clean = [row for row in rows if not truth[row.crop_id].mixed]
    found = Tally()
    for one, other in itertools.combinations(clean, 2):
        a, b = truth[one.crop_id], truth[other.crop_id]
        if (a.film, a.identity, a.shot, a.held) == (b.film, b.identity, b.shot, b.held):
            found.true += 1
            found.right += one.drawing == other.drawing
    return found


def leaks(rows: Sequence[CuratedCrop]) -> int:
    """Shots, groups and frames that lie on both sides of the split."""
    return sum(
        len(
            {getattr(row, name) for row in rows if row.part == "train"}
            & {getattr(row, name) for row in rows if row.part == "validation"}
        )
        for name in ("shot", "group", "frame_sha256")
    )


def measure_curation(
    films: int = 4, shots: int = 16, size: tuple[int, int] = (640, 360), seed: int = 20, sheets: Path | None = None
) -> list[str]:
    """Lines of a table, one film a line and all together last: shot boundaries, purity and completeness of characters,
    pairs of one drawing and of one group, leaks of the split, seconds. `sheets` gets pictures of each film."""
    lines = [
        f"curation: {films} drawn films of {shots} shots at {size[0]}x{size[1]}, boxes and masks by the renderer",
        f"{'film':>5} {'frames':>6} {'crops':>6} {'shots P/R':>11} {'purity':>7} {'complete':>8} {'given':>6} "
        f"{'drawing P/R':>12} {'group P':>8} {'leaks':>5} {'s':>6}",
    ]
    total = [Tally() for _ in range(6)]
    crops = given = 0
    for number in range(seed, seed + films):
        with tempfile.TemporaryDirectory() as folder:
            line, tallies, count, share = _film(Path(folder), number, shots, size, sheets)
        lines.append(line)
        crops, given = crops + count, given + share * count
        for kept, one in zip(total, tallies, strict=True):
            kept.right, kept.found, kept.true = kept.right + one.right, kept.found + one.found, kept.true + one.true
    bounds, pure, whole, drawing, twins, group = total
    lines.append(
        f"  all {'':6} {crops:6d} {bounds.precision:5.3f}/{bounds.recall:5.3f} {pure.precision:7.3f} "
        f"{whole.precision:8.3f} {given / max(1, crops):6.1%} {drawing.precision:6.3f}/{twins.recall:5.3f} "
        f"{group.precision:8.3f}"
    )
    return lines


def _film(
    data: Path, number: int, shots: int, size: tuple[int, int], sheets: Path | None
) -> tuple[str, list[Tally], int, float]:
    truth = write_film(data, "MEASURED", "film", draw_shots(number, shots, *size))
    store = Store(data)
    began = time.perf_counter()
    groups = make_groups(store, "MEASURED")
    people = make_characters(store, "MEASURED")
    made = make_curated(store, "MEASURED", CurateSettings(target=60, tiers=("high", "medium", "low")))
    seconds = time.perf_counter() - began
    if sheets is not None:
        for name, sheet in (
            ("characters", characters_sheet(store, people.rows)), ("groups", groups_sheet(store, groups.rows)),
            ("chosen", chosen_sheet(store, made.rows)),
        ):  # fmt: skip
            atomic_write_bytes(sheets / f"film{number}_{name}.png", encode_png(sheet))
    bounds = shot_boundaries(truth.shots, _found_shots(store, truth))
    pure, whole, share = purity_and_completeness(people.rows, truth.crops)
    drawing, group = alike_pairs(groups.rows, truth.crops)
    twins = missed_twins(groups.rows, truth.crops)
    line = (
        f"{number:5d} {len(truth.shots):6d} {len(people.rows):6d} {bounds.precision:5.3f}/{bounds.recall:5.3f} "
        f"{pure.precision:7.3f} {whole.precision:8.3f} {share:6.1%} {drawing.precision:6.3f}/{twins.recall:5.3f} "
        f"{group.precision:8.3f} {leaks(made.rows):5d} {seconds:6.1f}"
    )
    return line, [bounds, pure, whole, drawing, twins, group], len(people.rows), share


def _found_shots(store: Store, truth: FilmTruth) -> list[str]:
    """The shot found for each frame of the film, in order."""
    crops = read_crops(store, "MEASURED")
    found = find_shots(store, crops)["film"]
    return [found[place] for place in range(len(truth.shots))]
