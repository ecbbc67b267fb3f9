"""The tables of a sweep of a tracker: `refinement_sweep` and `refinement_presets`, and its folder of pictures.

They only look at masks before refinement, so that those of a sealed tracker may be swept too. Equal masks and settings
are not swept again. The folder lies below `data/mask_lab/<tracker>/`; the table that names it is published when
it is complete. What belongs elsewhere: the steps themselves.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lora_assets.mask_lab import measures
from lora_assets.mask_lab.drawing import plot_markdown
from lora_assets.mask_lab.file_names import PICTURES, RESULTS_TABLE, SWEEP_TABLE, image_folder, plot_name
from lora_assets.mask_lab.folders import write_sweep
from lora_assets.mask_lab.frames import (
    LabSource,
    default_network,
    open_network,
    tracker_sources,
    whole_frame_source,
)
from lora_assets.mask_lab.grid import check_count, must_be_asked_for, named_presets, planned_presets
from lora_assets.mask_lab.sample import choose_sample, pool_of
from lora_assets.mask_lab.settings import MaskLabSettings
from lora_assets.mask_lab.sweeping import CODE_VERSION, Sweep, judge_sample, sample_facts, sources_said, sweep
from lora_assets.mask_lab.truth import open_truth
from lora_assets.models import OpenWeights
from lora_assets.progress import Listener, nobody
from lora_assets.specs import TrackerSpec, read_tracker, section_settings
from lora_assets.store import PublishedTable, Store, StoreError, digest
from lora_assets.tables import from_table, to_table
from lora_assets.tables.mask_lab import PresetResult, SweptMask
from lora_assets.vision import refine
from lora_assets.vision.refine import RefineSettings
from lora_assets.vision.refine_presets import find_preset
from lora_assets.vision.second_opinion import GRABCUT, NONE

FOLDER = "mask_lab"
FOLDER_SWEEPS = "folder_sweeps"
"""Where sweeps of folders lie, below data/. Not below FOLDER, where any name may be a tracker's."""
_OWN = re.compile(r"[0-9a-f]{16}-[0-9a-f]{6}")
_POOL_TIMES = 3
_PREVIEWED = 8


@dataclass(frozen=True, slots=True)
class MadeSweep:
    """The published tables of a sweep; `reused` when they were there already."""

    masks: PublishedTable
    presets: PublishedTable
    folder: Path
    reused: bool

    @property
    def facts(self) -> dict[str, Any]:
        """What the sweep tells of itself."""
        return self.masks.facts

    def results(self) -> list[PresetResult]:
        """The presets compared."""
        return from_table(self.presets.read(), PresetResult)

    def numbers(self) -> dict[str, float]:
        """What is plotted over runs, by name."""
        found = {name: float(value) for name, value in self.facts.items() if type(value) in (int, float)}
        found.pop("published_at", None)
        for each in self.results():
            if ":" in each.preset:
                continue
            found[f"coverage_{each.preset}"] = each.coverage
            found[f"seconds_{each.preset}"] = each.seconds
            if each.objective is not None:
                found[f"objective_{each.preset}"] = each.objective
        return found

    def preview(self) -> str:
        """Markdown with the plot and overlays of the best preset, or of the first one without a best."""
        best = self.facts.get("best") or next((each.preset for each in self.results() if each.has_pictures), None)
        slug = next((each.slug for each in self.results() if each.preset == best), "")
        pictures = []
        for number in range(1, _PREVIEWED + 1):
            pixels = cv2.imread(str(self.folder / image_folder(number) / slug / PICTURES["overlay"]))
            if pixels is not None:
                pictures.append(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
        return plot_markdown((self.folder / plot_name("en")).read_bytes(), pictures)


def lab_settings(spec: TrackerSpec) -> MaskLabSettings:
    """Section [mask_lab] of a tracker. Raises SpecError for what does not fit."""
    return section_settings(MaskLabSettings, spec, "mask_lab")


def read_sweep(store: Store, tracker: str) -> MadeSweep | None:
    """The sweep of a tracker as it was published last; None when there is none, or its folder is gone."""
    masks, presets = (store.published(store.table_path(name, tracker)) for name in (SWEEP_TABLE, RESULTS_TABLE))
    if masks is None or presets is None or masks.version != presets.version:
        return None
    folder = store.data / str(masks.facts.get("folder", "-"))
    return MadeSweep(masks, presets, folder, True) if folder.is_dir() else None


def make_sweep(
    data: Path, tracker: str, listen: Listener = nobody, run_id: str = "", *, allow_large: bool = False
) -> MadeSweep:
    """The sweep of a tracker as tables and folder. `allow_large` stands for the setting of that name.

    Raises SpecError (SweepRefused for a large sweep that was not asked for), ModelError, StoreError.
    """
    store, spec = Store(data), read_tracker(data, tracker)
    settings = lab_settings(spec)
    settings = replace(settings, allow_large=True) if allow_large else settings
    spare = section_settings(RefineSettings, spec, "refine").spare_neighbours
    if not must_be_asked_for(settings):
        planned_presets(settings)
    with store.lock(f"{FOLDER}-{tracker}"):
        sources = tracker_sources(store, spec)
        network = open_network(settings.segmenter, data) if settings.segmenter else None
        wanted = _version(sources, settings, spare, network, data)
        made = read_sweep(store, tracker)
        if made is not None and made.masks.version == wanted:
            return made
        done = sweep_sources(store, sources, settings, network, spare_neighbours=spare, listen=listen)
        fresh = data / FOLDER / tracker / f"{wanted}-{secrets.token_hex(3)}"
        fresh.mkdir(parents=True)
        files = write_sweep(fresh, done, listen, {"tracker": tracker})
        # What is lost now may be back at the next run: the version tells that it is not whole.
        version = digest(wanted, "passing", done.lost) if done.lost else wanted
        facts = {**_facts(done, files), "tracker": tracker, "run_id": run_id, "folder": str(fresh.relative_to(data))}
        results = store.publish(
            store.table_path(RESULTS_TABLE, tracker),
            PresetResult,
            [to_table(done.results, PresetResult)],
            version,
            facts,
        )
        masks = store.publish(
            store.table_path(SWEEP_TABLE, tracker), SweptMask, [to_table(done.rows, SweptMask)], version, facts
        )
        for other in (data / FOLDER / tracker).iterdir():
            if other != fresh and _OWN.fullmatch(other.name):
                shutil.rmtree(other, ignore_errors=True)
        return MadeSweep(masks, results, fresh, False)


def sweep_sources(
    store: Store,
    sources: Sequence[LabSource],
    settings: MaskLabSettings,
    network: OpenWeights | None = None,
    *,
    spare_neighbours: bool = True,
    listen: Listener = nobody,
) -> Sweep:
    """A sweep over masks before refinement, or over whole-frame masks of a network. Raises StoreError where there is no
    mask at all, SweepRefused, ModelError."""
    check_count(settings)
    said: list[str] = []
    lost: list[str] = []
    if network is not None:
        looked = []
        for source in sources:
            pool = pool_of(list(source.frames), settings, _POOL_TIMES * settings.sample)
            made, unread = whole_frame_source(store, source, pool, network, listen)
            looked.append(made)
            lost += unread
        sources = looked
    else:
        said += sources_said(sources)
    sample, known = choose_sample(sources, settings)
    if not sample:
        why = f" ({'; '.join([*said, *lost[:3]])})" if said or lost else ""
        raise StoreError(
            f"there is no mask to sweep{why}: make masks first (materialize masks, or lora-assets run), or name a "
            "segmenter of whole frames (segmenter in [mask_lab])"
        )
    judged, unjudged = judge_sample(sample, settings, store.data, listen)
    done = sweep(
        judged, settings, spare_neighbours=spare_neighbours, masks_known=known, said=[*said, *unjudged], listen=listen
    )
    done.lost.extend(lost)
    return done


def sweep_folder(store: Store, source: LabSource, settings: MaskLabSettings, listen: Listener = nobody) -> Sweep:
    """The reference experiment on a folder: whole frames, a salient-object network, presets. Raises as
    `sweep_sources`, and ModelError, with the ways out, when no network is there."""
    network = open_network(settings.segmenter, store.data) if settings.segmenter else default_network(store.data)
    return sweep_sources(store, [source], replace(settings, segmenter=network.name), network, listen=listen)


def _version(
    sources: Sequence[LabSource], settings: MaskLabSettings, spare: bool, network: OpenWeights | None, data: Path
) -> str:
    code = [CODE_VERSION, measures.CODE_VERSION, refine.CODE_VERSION]
    truths = [truth.version for source in sources if (truth := open_truth(settings.truth, source)) is not None]
    chains: list[Any] = [[preset.name, list(preset.parameters.values())] for preset in named_presets(settings)]
    if settings.axes:
        # What the grid is made of, not its presets: a sweep that is refused makes none.
        base = [*find_preset(settings.grid_base).parameters.values()]
        chains.append([base, [[name, list(values)] for name, values in settings.axes.items()]])
    opinion = settings.second_opinion
    opinion = opinion if opinion in (NONE, GRABCUT) else open_network(opinion, data).sha256
    told = {name: value for name, value in settings.facts().items() if name not in ("allow_large", "presets", "grid")}
    weights = network.sha256 if network else ""
    return digest(
        SWEEP_TABLE, code, [[s.dataset, s.version] for s in sources], told, chains, spare, weights, truths, opinion
    )


def _facts(done: Sweep, files: int) -> dict[str, Any]:
    best = done.best
    return {
        "presets": len(done.presets), "images": len(done.sample), "masks_known": done.masks_known,
        "hard_cases": sum(each.sampled.is_hard for each in done.sample),
        "judged": sum(bool(each.judge) for each in done.sample), "seconds": done.seconds, "files": files,
        "refinements_per_second": len(done.rows) * done.settings.repeats / done.seconds if done.seconds else 0.0,
        "best": best.preset if best else None, "best_objective": best.objective if best else None,
        "sample": sample_facts(done.sample), "settings": done.settings.facts(), "said": [*done.said, *done.lost],
        "spare_neighbours": done.spare_neighbours, "code_version": CODE_VERSION,
    }  # fmt: skip
