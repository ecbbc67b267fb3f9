"""The tables `coco_annotations` and `annotation_problems` of a segmenter: its set as it was read, and what is wrong."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lora_assets.annotations.drawing import set_markdown
from lora_assets.annotations.places import annotations_of, check_name
from lora_assets.annotations.reading import CODE_VERSION, forbids_training, read_annotated_set
from lora_assets.annotations.records import SPLITS, AnnotatedSet, Problem
from lora_assets.progress import Listener, Progress
from lora_assets.store import PublishedTable, Store, digest
from lora_assets.tables import AnnotatedThing, AnnotationProblem, to_table


@dataclass(frozen=True, slots=True)
class MadeAnnotations:
    """A set that was read for a segmenter, with its published tables."""

    found: AnnotatedSet
    problems: tuple[Problem, ...]
    table: PublishedTable

    def numbers(self) -> dict[str, float]:
        """Counts for a plot over time."""
        split_of = {image.id: image.split for image in self.found.images}
        names = {category.id: category.name for category in self.found.categories}
        of_category = Counter(names[one.category_id] for one in self.found.annotations)
        numbers = {f"{name}_annotations": float(of_category[name]) for name in names.values()}
        for split in SPLITS:
            numbers[f"{split}_pages"] = float(sum(image.split == split for image in self.found.images))
            numbers[f"{split}_annotations"] = float(
                sum(split_of[one.image_id] == split for one in self.found.annotations)
            )
        numbers["problems"] = float(len(self.problems))
        numbers["seconds"] = float(self.table.facts["seconds"])
        return numbers

    def preview(self) -> str:
        """Markdown: pages with coloured masks."""
        return set_markdown(self.found, len(self.problems))

    def forbidding(self) -> list[str]:
        """In words, what forbids a training on the set."""
        return [str(problem) for problem in forbids_training(self.problems)]


def make_annotations(store: Store, segmenter: str, listen: Listener, run_id: str = "") -> MadeAnnotations:
    """Read and check the set that a segmenter's settings file names, and publish what was found.

    Raises AnnotationError when the file names no set, or nothing in it can be used.
    """
    began = time.perf_counter()
    folder = annotations_of(store.data, check_name(segmenter, "the segmenter"))
    found, problems = read_annotated_set(
        folder, told=lambda done, total: listen(Progress("check pages", done, total, "pages"))
    )
    version = digest("coco_annotations", CODE_VERSION, found.digest, [[p.kind, str(p)] for p in problems])
    facts: dict[str, Any] = {
        "run_id": run_id,
        "set": str(found.root),
        "set_digest": found.digest,
        "seconds": round(time.perf_counter() - began, 3),
        "categories": [category.name for category in found.categories],
        "problem_kinds": dict(Counter(problem.kind for problem in problems)),
    }
    table = store.publish(
        store.table_path("coco_annotations", segmenter), AnnotatedThing,
        [to_table(_rows(found), AnnotatedThing)], version, facts,
    )  # fmt: skip
    rows = [AnnotationProblem(one.where, one.kind, one.severity, one.reason, one.way_out) for one in problems]
    store.publish(
        store.table_path("annotation_problems", segmenter), AnnotationProblem,
        [to_table(rows, AnnotationProblem)], version, facts,
    )  # fmt: skip
    return MadeAnnotations(found, tuple(problems), table)


def _rows(found: AnnotatedSet) -> Sequence[AnnotatedThing]:
    rows = []
    for one in found.annotations:
        image = found.image(one.image_id)
        inside = image.path.is_relative_to(found.root)
        rows.append(
            AnnotatedThing(
                one.id, one.image_id, str(image.path.relative_to(found.root) if inside else image.path), image.sha256,
                image.split, image.title, found.category_name(one.category_id), *one.bbox, int(one.area),
                min(1.0, one.area / (image.width * image.height)), one.iscrowd,
            )
        )  # fmt: skip
    return rows
