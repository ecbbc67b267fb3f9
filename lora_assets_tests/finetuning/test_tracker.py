"""A tracker that names a tuned segmenter."""

from __future__ import annotations

from lora_assets.benchmarks.cheap import middle_box
from lora_assets.main_line.cells import Cell, update_detections, update_masks
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.models.tuned import read_tuned
from lora_assets.resources import DataFolder, ModelOpener
from lora_assets.specs import TrackerSpec, list_datasets, write_tracker
from lora_assets.store import Store


def test_a_tracker_runs_with_a_tuned_segmenter(tuned_data, drop_frames):
    data, masks = tuned_data, {}
    drop_frames(count=2)
    store, dataset = Store(data), list_datasets(data)["film"]
    update_raw_frames(store, dataset)
    for tracker, name in (("T1", "starter-sam"), ("T2", "comics")):
        write_tracker(data, TrackerSpec(tracker, ("film",), settings={"segment": {"weights": name}}))
        recipes = DataFolder(path=str(data)).recipes(tracker)
        cell = Cell(store, dataset, tracker, recipes)
        update_detections(cell, lambda: (middle_box,))
        masks[tracker] = update_masks(cell, lambda opened=recipes: ModelOpener().segmenter(opened)).table
    card = read_tuned(data, "comics")
    assert card is not None
    recipes = {tracker: DataFolder(path=str(data)).recipes(tracker).segments for tracker in masks}
    assert [used.sha256 for used in recipes["T2"].weights] == [card.sha256]
    assert recipes["T1"].digest != recipes["T2"].digest
    rows = {tracker: table.read().to_pylist() for tracker, table in masks.items()}
    assert len(rows["T1"]) == len(rows["T2"]) == 2
    assert [row["rle"] for row in rows["T1"]] != [row["rle"] for row in rows["T2"]]
