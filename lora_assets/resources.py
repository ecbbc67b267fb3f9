"""What the assets work with: partitions, the data folder, and models that are opened once for a run.

What belongs elsewhere: what an asset does with them (assets), how a model is opened (vision).
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import dagster as dg

from lora_assets.main_line.cells import Cell
from lora_assets.main_line.corrections import usable_recipes
from lora_assets.models.registry import ModelError
from lora_assets.process_identity import this_process
from lora_assets.progress import Listener
from lora_assets.recipes import TrackerRecipes, tracker_recipes
from lora_assets.run_launcher import PROCESS_TAG
from lora_assets.specs import DatasetSpec, SpecError, list_datasets, read_tracker
from lora_assets.store import Store
from lora_assets.verdicts.record import VerdictError
from lora_assets.vision.detect import Detector, load_detector
from lora_assets.vision.device import worker_count
from lora_assets.vision.segment import Segmenter, load_segmenter
from lora_assets.vision.threads import one_thread_per_call

datasets = dg.DynamicPartitionsDefinition(name="dataset")
trackers = dg.DynamicPartitionsDefinition(name="tracker")
segmenters = dg.DynamicPartitionsDefinition(name="segmenter")
cells = dg.MultiPartitionsDefinition({"dataset": datasets, "tracker": trackers})

# Weights stay open for the life of a run's process, whichever cells it makes; two sets, so that a comparison of two
# trackers in one process does not load by turns. A tracker names up to eight detectors.
_open_detector = lru_cache(maxsize=16)(load_detector)
_open_segmenter = lru_cache(maxsize=2)(load_segmenter)


class ModelOpener(dg.ConfigurableResource):
    """Opens the weights of a tracker; the one seam where tests put other models."""

    def detectors(self, recipes: TrackerRecipes) -> Sequence[Detector]:
        """The detectors of a tracker, in the order of its settings."""
        opened = [_open_detector(weights, recipes.settings.detect) for weights in recipes.detectors]
        one_thread_per_call()
        return opened

    def segmenter(self, recipes: TrackerRecipes) -> Segmenter:
        """The segmenter of a tracker."""
        opened = _open_segmenter(recipes.segmenter, recipes.settings.segment, recipes.second_opinion)
        one_thread_per_call()
        return opened


class DataFolder(dg.ConfigurableResource):
    """The project's `data/` folder."""

    path: str = "data"

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Let the run name its process, so that its death is noticed."""
        run = context.run
        if context.instance is not None and run is not None and run.run_id and PROCESS_TAG not in run.tags:
            context.instance.add_run_tags(run.run_id, {PROCESS_TAG: this_process()})

    @property
    def root(self) -> Path:
        """The folder as an absolute path."""
        return Path(self.path).resolve()

    @property
    def store(self) -> Store:
        """The computed part of the folder."""
        return Store(self.root)

    def dataset(self, slug: str) -> DatasetSpec:
        """The dataset of a partition key. Raises SpecError when neither a folder nor a registration has that name."""
        known = list_datasets(self.root)
        if slug not in known:
            raise SpecError(
                f"dataset {slug}: there is no such folder under {self.root / 'input'} (deleted or renamed?) and no "
                "registered one; its results are kept. Known: " + (", ".join(known) or "none")
            )
        return known[slug]

    def recipes(self, tracker: str) -> TrackerRecipes:
        """The recipes of a tracker."""
        return tracker_recipes(read_tracker(self.root, tracker), self.root)

    def cell(self, key: dg.MultiPartitionKey, run_id: str, listen: Listener) -> Cell | None:
        """The cell of a partition key; None when the tracker does not name the dataset, or is sealed and its folder,
        weights or settings are gone or cannot be read any more: its results stay, and nothing can be said of them.
        """
        dataset, tracker = key.keys_by_dimension["dataset"], key.keys_by_dimension["tracker"]
        spec = read_tracker(self.root, tracker)
        if not spec.covers(dataset):
            return None
        try:
            found = self.dataset(dataset)
            recipes, _ = usable_recipes(tracker_recipes(spec, self.root), self.store, dataset, tracker)
        except (SpecError, ModelError, VerdictError):
            if spec.sealed:
                return None
            raise
        return Cell(self.store, found, tracker, recipes, run_id, worker_count(), listen, spec.sealed)
