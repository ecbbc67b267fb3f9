from __future__ import annotations

import csv
import io
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lora_assets.mask_lab.file_names import BACKGROUND, CHARACTER
from lora_assets.mask_lab.file_names import LAYERS_TABLE as TABLE
from lora_assets.mask_lab.layers import layers_numbers, layers_preview, make_layers, open_painter, take_apart
from lora_assets.mask_lab.settings import LayerSettings
from lora_assets.models import ModelError
from lora_assets.specs import TrackerSpec, set_sealed, write_tracker
from lora_assets.store import Store, StoreError
from lora_assets.tables import Mask, from_table, to_table
from lora_assets.vision.matting import GUIDED
from lora_assets_tests.mask_lab.cells import DATASET, SIZE, TRACKER, figure, make_cell, mask_row
from lora_assets_tests.vision.tiny_models import lama_onnx


def _frame() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    image = np.full((SIZE[1], SIZE[0], 3), (90, 160, 200), np.uint8) + rng.integers(0, 9, (SIZE[1], SIZE[0], 3)).astype(
        np.uint8
    )
    left, right = figure(60, 80, 20, 40), figure(180, 80, 20, 40)
    image[left], image[right] = (200, 30, 30), (30, 30, 30)
    return image, left, right


@pytest.mark.parametrize("method", ["telea", "ns"])
def test_layers_laid_over_each_other_are_the_frame_again(tmp_path, method):
    image, left, right = _frame()
    paint, _ = open_painter(LayerSettings(method=method), tmp_path)
    layers = take_apart(image, [mask_row(left, "0" * 64, "a"), mask_row(right, "0" * 64, "b")], paint, 3)
    alpha = layers.character[..., 3] > 0
    assert np.array_equal(alpha, left | right)
    over = np.where(alpha[..., None], layers.character[..., :3], layers.background)
    hole = cv2.dilate(alpha.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))) > 0
    assert np.array_equal(over[~hole | alpha], image[~hole | alpha])
    assert layers.hole_share == pytest.approx(hole.mean())
    # No red and no black figure is left: the background goes on.
    assert np.abs(layers.background[hole].astype(int) - (94, 164, 204)).max() < 25


def test_the_layers_of_a_tracker_are_made_once(data):
    make_cell(data, layers={"frames": 5, "grow": 2})
    set_sealed(data, TRACKER, True)
    made = make_layers(data, TRACKER)
    assert made.table.facts["said"] == []  # five there are, and none was left out
    rows = made.rows()
    assert (made.computed, made.reused, len(rows)) == (5, False, 5)
    assert [row.characters for row in sorted(rows, key=lambda row: row.path)] == [1, 2, 2, 1, 1]
    for row in rows:
        character = np.asarray(cv2.imread(str(data / row.folder / CHARACTER), -1))
        background = np.asarray(cv2.imread(str(data / row.folder / BACKGROUND), -1))
        assert character.shape == (SIZE[1], SIZE[0], 4) and background.shape == (SIZE[1], SIZE[0], 3)
        assert 0 < row.hole_share < 0.6 and row.method == "telea"
    assert layers_numbers(made)["computed"] == 5.0
    assert "data:image/jpeg;base64," in layers_preview(data, made)
    assert make_layers(data, TRACKER).reused
    place = data / "layers" / TRACKER
    index = place / "index.csv"
    told = list(csv.DictReader(io.StringIO(index.read_text(encoding="utf-8"))))
    assert [(row["dataset"], row["frame"]) for row in told] == sorted((row.dataset, row.path) for row in rows)
    for row in told:
        assert (place / row["character"]).is_file() and (place / row["background"]).is_file()
    index.unlink()
    assert make_layers(data, TRACKER).reused and len(index.read_text(encoding="utf-8").splitlines()) == 1 + len(rows)
    (data / rows[0].folder / BACKGROUND).unlink()
    again = make_layers(data, TRACKER)
    assert (again.reused, again.computed) == (False, 1)


def test_layers_that_are_there_keep_the_share_that_was_painted_with_its_soft_edge(data):
    make_cell(data, layers={"frames": 0, "grow": 2})
    store = Store(data)
    path = store.table_path("masks", DATASET, TRACKER)
    there = store.cell_table("masks", DATASET, TRACKER)
    assert there is not None
    soft = [replace(row, matting=GUIDED) for row in from_table(there.read(), Mask)]
    store.publish(path, Mask, [to_table(soft, Mask)], "masks-2", there.facts)
    made = {row.path: row.hole_share for row in make_layers(data, TRACKER).rows()}
    # The table is made anew of the layers that are there.
    store.table_path(TABLE, TRACKER).unlink()
    again = make_layers(data, TRACKER)
    assert again.computed == 0 and {row.path: row.hole_share for row in again.rows()} == made
    (data / again.rows()[0].folder / "share.json").write_text("{")
    assert make_layers(data, TRACKER).computed == 1


def test_other_settings_make_others_and_take_the_old_ones_away(data):
    make_cell(data, layers={"frames": 3, "seed": 1})
    first = make_layers(data, TRACKER)
    assert len(first.rows()) == 3
    assert first.table.facts["said"] == [f"{DATASET}: at most 3 frames, drawn with seed 1 of 5 with characters"]
    path = data / "trackers" / f"{TRACKER}.toml"
    path.write_text(path.read_text().replace("frames = 3", 'frames = 3\nmethod = "ns"'))
    second = make_layers(data, TRACKER)
    assert second.computed == 3 and {row.method for row in second.rows()} == {"ns"}
    assert {str(p.relative_to(data)) for p in (data / "layers").glob("*/*/*")} == {row.folder for row in second.rows()}


def test_a_frame_that_is_gone_is_told_and_tried_again(data):
    make_cell(data)
    gone = data / "input" / DATASET / "絵0.png"
    content = gone.read_bytes()
    gone.unlink()
    made = make_layers(data, TRACKER)
    assert [row.path for row in made.rows() if row.reason] == ["絵0.png"]
    index = (data / "layers" / TRACKER / "index.csv").read_text(encoding="utf-8")
    row = next(each for each in csv.DictReader(io.StringIO(index)) if each["frame"] == "絵0.png")
    assert (row["character"], row["background"]) == ("", "") and row["reason"]
    assert made.table.facts["lost"] == 1 and "絵0.png" in made.table.facts["said"][0]
    gone.write_bytes(content)
    again = make_layers(data, TRACKER)
    assert (again.computed, again.table.facts["lost"]) == (1, 0)


def test_a_tracker_without_masks_is_told(data):
    write_tracker(data, TrackerSpec(TRACKER, (DATASET,)))
    with pytest.raises(StoreError, match=f"lora-assets run --tracker {TRACKER}"):
        make_layers(data, TRACKER)


def test_lama_paints_where_its_weights_are(data):
    make_cell(data, layers={"method": "lama", "frames": 2})
    with pytest.raises(
        ModelError, match=r'method "lama" needs its weights: .*models pull lama.* Or take method = "telea"'
    ):
        make_layers(data, TRACKER)
    net = lama_onnx(data.parent / "mine.onnx")
    path = data / "trackers" / f"{TRACKER}.toml"
    path.write_text(path.read_text().replace('method = "lama"', f'method = "lama"\nweights = "{net}"'))
    made = make_layers(data, TRACKER)
    assert made.computed == 2 and {row.method for row in made.rows()} == {"lama"}
    path.write_text(path.read_text().replace(str(net), "starter-sam"))
    with pytest.raises(ModelError, match="paints no backgrounds"):
        make_layers(data, TRACKER)
