from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lora_assets.mask_lab.file_names import PICTURES, REPORT, image_folder, plot_name
from lora_assets.mask_lab.frames import LabSource, known_frames
from lora_assets.mask_lab.grid import SweepRefused
from lora_assets.mask_lab.making import make_sweep, read_sweep, sweep_folder
from lora_assets.mask_lab.settings import MaskLabSettings
from lora_assets.mask_lab.sweeping import compare_presets
from lora_assets.models import ModelError
from lora_assets.specs import SpecError, TrackerSpec, set_sealed, write_tracker
from lora_assets.store import Store, StoreError
from lora_assets.tables import Mask, from_table
from lora_assets.tables.mask_lab import SweptMask
from lora_assets.vision.refine import RefineSettings, refine_rows
from lora_assets.vision.refine_presets import PRESETS, changed_preset
from lora_assets_tests.mask_lab.cells import DATASET, RECIPE, SIZE, TRACKER, make_cell
from lora_assets_tests.mask_lab.test_grid import LARGE
from lora_assets_tests.vision.tiny_models import brightness_onnx, constant_onnx


@pytest.fixture(autouse=True)
def _no_plots_in_three_languages(monkeypatch):
    """One language is enough but for `swept`: each plot takes a third of a second."""
    monkeypatch.setattr("lora_assets.mask_lab.folders.LANGUAGES", ("en",))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A tracker with its sweep, once."""
    data = tmp_path_factory.mktemp("swept") / "data"
    truths = make_cell(
        data, mask_lab={"sample": 7, "repeats": 1, "grid_base": "aggressive", "grid": {"dilate": [3, 5]}}
    )
    return data, make_sweep(data, TRACKER), truths


def _rows(made) -> list[SweptMask]:
    return from_table(made.masks.read(), SweptMask)


def test_every_preset_is_measured_on_every_mask(swept):
    _data, made, _ = swept
    results = {each.preset: each for each in made.results()}
    assert len(results) == 10 and len(_rows(made)) == 70
    assert results["aggressive"].coverage > results["extended"].coverage > results["baseline"].coverage
    assert results["baseline"].coverage > results["conservative"].coverage
    assert results["aggressive"].hard_coverage > 2 * results["baseline"].hard_coverage
    assert results["aggressive"].covered == pytest.approx(1.0, abs=0.01)
    assert results["extended"].specks < results["baseline"].specks
    # The masks are a pixel small: what grows a little is better, what grows much or shrinks is worse.
    assert made.facts["best"] == "aggressive:dilate=3" or results[made.facts["best"]].iou > results["baseline"].iou
    assert results["aggressive"].iou < results["baseline"].iou
    assert all(0 <= each.objective <= 1 and each.judged == 7 for each in results.values())
    assert any(each.on_front for each in results.values())
    assert results["alpha_matting"].seconds > results["baseline"].seconds
    for row in _rows(made):
        assert row.coverage == pytest.approx(row.area / (SIZE[0] * SIZE[1]))
        assert row.judge == "truth" and row.chosen_for
    numbers = made.numbers()
    assert numbers["objective_aggressive"] == results["aggressive"].objective
    assert "data:image/jpeg;base64," in made.preview()


def test_the_folder_holds_what_was_measured(swept):
    _data, made, _truths = swept
    report = json.loads((made.folder / REPORT).read_text())
    assert report["best"] == made.facts["best"]
    assert [each["name"] if "name" in each else each["preset"] for each in report["presets"]][:2] == [
        "aggressive", "extended",
    ]  # fmt: skip
    assert report["presets"][0]["parameters"]["dilate"] == 7 and report["presets"][0]["why"]["dilate"]
    assert report["judges"] == ["truth"] and report["settings"]["sample"] == 7
    for image in report["images"]:
        place = made.folder / image_folder(image["image"])
        assert len(image["presets"]) == 10
        for preset in ("aggressive", "aggressive__dilate5", "fine"):
            found = {kind: cv2.imread(str(place / preset / name), -1) for kind, name in PICTURES.items()}
            assert found["mask"].shape == (SIZE[1], SIZE[0]) and set(np.unique(found["mask"])) <= {0, 255}
            row = next(
                r
                for r in _rows(made)
                if r.image == image["image"] and r.preset.replace(":", "__").replace("=", "") == preset
            )
            assert int((found["mask"] > 0).sum()) == row.area
            assert found["character"].shape[2] == 4
            assert found["overlay"].shape == (SIZE[1], SIZE[0], 3)
            inside = found["mask"] > 0
            if inside.sum() > 500:
                blue, green, red = found["overlay"][inside].mean(axis=0)
                assert green > red and green > blue
            assert found["edges"].shape == (480, 480, 3)
    for language in ("en", "ja", "zh-TW"):
        assert (made.folder / plot_name(language)).read_bytes()[:4] == b"\x89PNG"


def test_equal_masks_and_settings_are_not_swept_again_and_a_truth_that_changes_is(swept, tmp_path):
    data = shutil.copytree(swept[0], tmp_path / "data")
    again = make_sweep(data, TRACKER)
    assert again.reused and again.masks.version == swept[1].masks.version
    assert make_sweep(data, TRACKER, allow_large=True).reused
    shutil.rmtree(again.folder)
    assert read_sweep(Store(data), TRACKER) is None
    anew = make_sweep(data, TRACKER)
    assert not anew.reused and anew.masks.version == again.masks.version
    (data / "input" / DATASET / "truth.json").unlink()
    other = make_sweep(data, TRACKER)
    assert not other.reused
    judges = {row.judge for row in _rows(other)}
    assert "grabcut" in judges and judges <= {"grabcut", ""}
    assert [path.name for path in other.folder.parent.iterdir()] == [other.folder.name]


def test_a_sweep_of_frames_that_got_their_masks_later_is_made_anew(data):
    make_cell(data, mask_lab={"presets": ["baseline"], "repeats": 1, "sample": 7})
    shelf = Store(data).shelf("segments", RECIPE, Mask)
    (answered, table), *more = shelf.read(shelf.done())
    assert not more and len(answered) == 5
    shutil.rmtree(shelf.folder)
    # The frames list is whole, the masks of two frames are not there yet.
    early = table.filter(pc.is_in(table.column("frame_sha256"), pa.array(answered[:3])))  # pyright: ignore
    late = table.filter(pc.is_in(table.column("frame_sha256"), pa.array(answered[3:])))  # pyright: ignore
    Store(data).shelf("segments", RECIPE, Mask).append(early, answered[:3])
    first = {row.frame_sha256 for row in _rows(make_sweep(data, TRACKER))}
    assert first == set(answered[:3]) and make_sweep(data, TRACKER).reused
    Store(data).shelf("segments", RECIPE, Mask).append(late, answered[3:])
    second = make_sweep(data, TRACKER)
    assert not second.reused and {row.frame_sha256 for row in _rows(second)} == set(answered)


def test_what_lies_beside_the_sweeps_of_a_tracker_stays(data):
    make_cell(data, mask_lab={"presets": ["baseline"], "repeats": 1, "sample": 1})
    kept = data / "mask_lab" / TRACKER / "image_1" / "mask.png"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"of somebody else")
    first = make_sweep(data, TRACKER)
    path = data / "trackers" / f"{TRACKER}.toml"
    path.write_text(path.read_text().replace("sample = 1", "sample = 2"))
    assert not make_sweep(data, TRACKER).reused
    assert kept.exists() and not first.folder.exists()


def test_the_smallest_mask_is_found_whatever_else_it_was_chosen_for(swept):
    first = replace(_rows(swept[1])[0], preset="baseline")
    rows = [
        replace(first, image=1, coverage=0.3, chosen_for=["touching"]),
        replace(first, image=2, coverage=0.001, chosen_for=["smallest", "thin_parts"]),
        replace(first, image=3, coverage=0.05, chosen_for=["smallest"]),
    ]
    (result,) = compare_presets([PRESETS["baseline"]], rows, MaskLabSettings())
    assert result.hard_coverage == 0.001


def test_a_sealed_tracker_may_be_swept_and_frames_that_are_gone_cost_pictures_only(data):
    make_cell(data, mask_lab={"presets": ["baseline", "alpha_matting"], "repeats": 1, "sample": 3})
    set_sealed(data, TRACKER, True)
    for path in (data / "input" / DATASET).glob("*.png"):
        path.unlink()
    made = make_sweep(data, TRACKER)
    assert made.masks.rows == 6
    lost = [words for words in made.facts["said"] if "only masks" in words]
    assert len(lost) == 3 and all(re.match(r"\S+\.png \(image_\d\): only masks", words) for words in lost)
    assert sorted(path.name for path in (made.folder / "image_1" / "baseline").iterdir()) == ["mask.png"]
    # They may be back at the next run.
    assert not make_sweep(data, TRACKER).reused


def test_a_large_sweep_is_refused_with_its_count_and_time_unless_it_is_asked_for(data, monkeypatch):
    make_cell(data, mask_lab={"presets": [], "grid": LARGE, "sample": 2, "repeats": 1})
    made = []

    def counted(base, changes):
        made.append(changes)
        return changed_preset(base, changes)

    monkeypatch.setattr("lora_assets.mask_lab.grid.changed_preset", counted)
    with pytest.raises(
        SweepRefused, match=r"10,000 presets over 2 masks: 20,000 refinements, about .* It was not started"
    ):
        make_sweep(data, TRACKER)
    assert [(one["dilate"], one["dilate_iterations"], one["threshold"]) for one in made] == [
        (3, 1, 50), (7, 10, 248), (11, 20, 248),
    ]  # fmt: skip
    assert not (data / "mask_lab").exists()
    monkeypatch.setattr("lora_assets.mask_lab.grid.MOST_PRESETS", 3)
    path = data / "trackers" / f"{TRACKER}.toml"
    path.write_text(path.read_text().split("[mask_lab]")[0] + "[mask_lab]\npresets = []\nsample = 2\nrepeats = 1\n"
                    "grid = {dilate = [0, 3], open = [0, 3, 5]}\n")  # fmt: skip
    with pytest.raises(SweepRefused, match="6 presets over 2 masks"):
        make_sweep(data, TRACKER)
    assert len(make_sweep(data, TRACKER, allow_large=True).results()) == 6
    assert make_sweep(data, TRACKER).reused


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("never", "there is no mask to sweep"),
        ("unrefined", "it has no masks yet: materialize masks"),
        ("gone", "its masks before refinement are gone"),
    ],
)
def test_without_masks_the_way_out_is_told(data, damage, told):
    if damage == "never":
        write_tracker(data, TrackerSpec(TRACKER, (DATASET,)))
    else:
        make_cell(data, refined=damage != "unrefined")
        if damage == "gone":
            shutil.rmtree(data / "store" / "segments")
    with pytest.raises(StoreError, match=told):
        make_sweep(data, TRACKER)
    with pytest.raises(SpecError):
        make_sweep(data, "NOBODY")


def _folder_source(data) -> LabSource:
    store = Store(data)
    frames = store.frames_of(DATASET, TRACKER)
    assert frames is not None
    return LabSource(DATASET, DATASET, data / "input" / DATASET, known_frames(frames), None, frames.version)


@pytest.mark.parametrize(("feed", "side"), [("input.1", 320), ("img", 1024)])
def test_the_reference_experiment_on_whole_frames(data, feed, side):
    """A salient-object network, whole frames, presets, report; the network here calls bright things salient."""
    make_cell(data)
    net = brightness_onnx(data.parent / "net.onnx", feed, side)
    settings = MaskLabSettings(segmenter=str(net), sample=3, repeats=1, presets=("aggressive", "baseline"))
    swept = sweep_folder(Store(data), _folder_source(data), settings)
    assert len(swept.rows) == 6
    for each in swept.sample:
        assert each.sampled.source.whole and len(each.sampled.rows) == 1
        assert each.judge == "truth"
        row = each.sampled.row
        assert (row.x, row.y, row.width, row.height) == (0, 0, *SIZE)
        expected = refine_rows([row], *SIZE, RefineSettings("aggressive"))[0]
        assert next(r for r in swept.rows if r.image == each.sampled.number).area == expected.area
    before = set((data / "store" / "whole_masks").rglob("*.parquet"))
    sweep_folder(Store(data), _folder_source(data), settings)
    assert set((data / "store" / "whole_masks").rglob("*.parquet")) == before


def test_a_folder_needs_a_network_that_masks_whole_frames(data):
    make_cell(data)
    with pytest.raises(ModelError, match="lora-assets models pull isnet-anime"):
        sweep_folder(Store(data), _folder_source(data), MaskLabSettings())
    boxes = constant_onnx(data.parent / "boxes.onnx", np.zeros((1, 5, 3), np.float32))
    with pytest.raises(ModelError, match="whole frames are masked by u2net"):
        sweep_folder(Store(data), _folder_source(data), MaskLabSettings(segmenter=str(boxes)))
    with pytest.raises(ModelError, match="whole frames are masked by u2net"):
        sweep_folder(Store(data), _folder_source(data), MaskLabSettings(segmenter="starter-sam"))


def test_a_network_is_a_second_opinion_too(data):
    make_cell(data, truth=False)
    net = str(brightness_onnx(data.parent / "net.onnx", "input.1", 64))
    path = data / "trackers" / f"{TRACKER}.toml"
    path.write_text(
        path.read_text() + f'\n[mask_lab]\nsecond_opinion = "{net}"\nsample = 3\nrepeats = 1\npictures = 1\n'
    )
    made = make_sweep(data, TRACKER)
    judges = {row.judge for row in _rows(made)}
    assert net in judges and judges <= {net, ""}
    assert sum(each.has_pictures for each in made.results()) == 1
