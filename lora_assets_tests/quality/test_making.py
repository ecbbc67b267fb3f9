"""The table of a tracker: what is there, what is absent and why, and that nothing is measured twice."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tomlkit

from lora_assets.models import ModelError
from lora_assets.progress import nobody
from lora_assets.quality import engines, making
from lora_assets.quality.answers import Answer
from lora_assets.quality.making import make_quality, read_quality, scored_crops_of
from lora_assets.quality.measuring import CropRef, fill_shelves
from lora_assets.quality.pictures import MOST_SIDE, PictureLost, QualityCrop, crop_of_frame
from lora_assets.quality.settings import QualitySettings
from lora_assets.quality.sheet import best_and_worst, sheet_markdown
from lora_assets.specs import dataset_slug, set_sealed
from lora_assets.store import Store
from lora_assets.tables import Mask, ScoredCrop, from_table, to_table
from lora_assets.tables.curation import CharacterCrop
from lora_assets.tables.quality import ImageQuality
from lora_assets.vision.masks import encode_mask
from lora_assets_tests.conftest import TEST_MODELS
from lora_assets_tests.judge.cells import a_row
from lora_assets_tests.quality.tiny import (
    link_real_models,
    nan_classifier,
    tiny_classifier,
    tiny_clip,
    tiny_simcc,
)
from lora_assets_tests.tracker.drawn_data import JAPANESE, TRACKER, make_data

PLAIN = {"sharpness", "lighting", "contrast", "noise"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("drawn") / "data", frames_each=6)


@pytest.fixture
def made_data(data: Path, drawn: Path) -> Path:
    """A tracker of two datasets with 11 crops, some of them vetoed."""
    shutil.copytree(drawn, data, dirs_exist_ok=True)
    return data


def _set(data: Path, **quality: object) -> None:
    path = data / "trackers" / f"{TRACKER}.toml"
    told = tomlkit.parse(path.read_text(encoding="utf-8"))
    told["quality"] = quality
    path.write_text(tomlkit.dumps(told), encoding="utf-8")


def _rows(data: Path) -> list[ImageQuality]:
    table = read_quality(Store(data), TRACKER)
    assert table is not None
    return from_table(table.read(), ImageQuality)


def test_every_crop_has_a_row_and_says_what_is_absent(made_data: Path) -> None:
    made = make_quality(made_data, TRACKER)
    rows = _rows(made_data)
    crops = [
        row
        for path in sorted((made_data / "tables" / "scored_crops" / TRACKER).glob("*.parquet"))
        for row in from_table(Store(made_data).cell_table("scored_crops", path.stem, TRACKER).read(), ScoredCrop)  # pyright: ignore
    ]
    assert [row.crop_id for row in rows] == [crop.crop_id for crop in crops]
    for row, crop in zip(rows, crops, strict=True):
        assert (row.score is None) == (not crop.is_valid_content)
        if row.score is None:
            assert row.band is None and row.rank is None and row.evidence == 0.0
            assert all("veto" in reason for reason in row.absent_reasons) and len(row.absent) == 8
        else:
            assert row.signals == ["sharpness", "lighting", "contrast"] and row.band
            assert row.score == pytest.approx(10 * np.dot(row.signal_values, row.signal_weights))
            assert sum(row.signal_weights) == pytest.approx(1.0) and row.evidence == pytest.approx(1.0)
            reasons = dict(zip(row.absent, row.absent_reasons, strict=True))
            assert "lora-assets models pull brisque-model" in reasons["brisque"]
            assert "there is no CLIP model" in reasons["aesthetics"]
            assert reasons["face"] == "no face was detected in it"
            assert "table of characters" in reasons["character"] and "key points" in reasons["pose"]
    facts = made.facts
    assert facts["scored"] == sum(crop.is_valid_content for crop in crops) and facts["crops"] == len(crops)
    assert sum(facts["bands"].values()) == facts["scored"] and set(facts["absent_signals"]) == {
        "aesthetics", "brisque", "face", "pose", "character"
    }  # fmt: skip
    assert made.numbers()["mean_score"] == pytest.approx(np.mean([row.score for row in rows if row.score is not None]))


def test_a_second_run_measures_nothing_and_a_new_metric_only_itself(made_data: Path, tmp_path: Path) -> None:
    first = make_quality(made_data, TRACKER)
    again = make_quality(made_data, TRACKER)
    assert not first.reused and again.reused and again.table.version == first.table.version
    _set(made_data, anime_aesthetic_model=str(tiny_classifier(tmp_path / "aesthetic.onnx")))
    added = make_quality(made_data, TRACKER)
    assert added.facts["computed"] == {"anime_aesthetic": first.facts["scored"]}
    assert all(row.anime_aesthetic is not None for row in _rows(made_data) if row.score is not None)
    # It weighs nothing unless asked to: the score is the one before.
    assert added.facts["means"]["score"] == pytest.approx(first.facts["means"]["score"])
    _set(
        made_data, anime_aesthetic_model=str(tmp_path / "aesthetic.onnx"), weights={"anime_aesthetic": 0.5}
    )  # fmt: skip
    weighed = make_quality(made_data, TRACKER)
    assert weighed.facts["computed"] == {} and "anime_aesthetic" in weighed.facts["taken"]


@pytest.mark.slow
def test_one_model_at_a_time_gives_the_same_table(made_data: Path, tmp_path: Path) -> None:
    points = np.full((17, 2), 40.0)
    models = {
        "anime_aesthetic_model": str(tiny_classifier(tmp_path / "aesthetic.onnx")),
        "pose_model": str(tiny_simcc(tmp_path / "pose.onnx", points, 0.6)),
    }
    _set(made_data, **models)
    made = make_quality(made_data, TRACKER)
    together = _rows(made_data)
    assert made.facts["marks"] == {"pose_rtmpose": {"0.8": 0.0}}
    for shelf in (made_data / "store" / "quality").glob("*"):
        shelf.rename(shelf.with_name(f"before-{shelf.name}"))
    _set(made_data, **models, one_model_at_a_time=True, batch=2)
    told: list[str] = []
    make_quality(made_data, TRACKER, listen=lambda at: told.append(at.stage), workers=1)
    assert _rows(made_data) == together
    assert any(title.endswith("image quality: rtmpose") for title in told)


def test_a_killed_run_goes_on_where_it_was(made_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_assets.quality.measuring.BLOCK", 2)
    measured: list[str] = []
    own = engines.figure.lighting

    def lighting(grey: np.ndarray, mask: np.ndarray) -> tuple[float | None, str]:
        if len(measured) == 4:
            raise KeyboardInterrupt
        measured.append("one")
        return own(grey, mask)

    monkeypatch.setattr(engines.figure, "lighting", lighting)
    with pytest.raises(KeyboardInterrupt):
        make_quality(made_data, TRACKER, workers=1)
    assert read_quality(Store(made_data), TRACKER) is None
    monkeypatch.setattr(engines.figure, "lighting", own)
    made = make_quality(made_data, TRACKER)
    assert 0 < made.facts["computed"]["lighting"] == made.facts["scored"] - 4


def test_where_the_original_is_gone_the_stored_cutout_is_measured(made_data: Path, tmp_path: Path) -> None:
    _set(made_data, anime_aesthetic_model=str(tiny_classifier(tmp_path / "aesthetic.onnx")))
    make_quality(made_data, TRACKER)
    before = {row.crop_id: row for row in _rows(made_data)}
    for shelf in (made_data / "store" / "quality").glob("*"):
        shelf.rename(shelf.with_name(f"before-{shelf.name}"))
    (made_data / "tables" / "image_quality" / f"{TRACKER}.parquet").unlink()
    folder = made_data / "input" / JAPANESE
    gone, changed = folder / "シーン00.png", folder / "シーン02.png"
    gone.unlink()
    changed.write_bytes(b"something else")
    made = make_quality(made_data, TRACKER)
    now = {row.crop_id: row for row in _rows(made_data)}
    lost = [crop for crop, row in before.items() if row.anime_aesthetic and not now[crop].anime_aesthetic]
    assert len(lost) == 2 and made.facts["lost"] == 2
    for crop in lost:
        assert now[crop].sharpness == pytest.approx(before[crop].sharpness, abs=1e-6)
        assert now[crop].contrast == pytest.approx(before[crop].contrast, abs=1e-6)
    # It is tried again: the version is not the one that is wanted.
    assert made.table.version != made.facts["wanted"]
    assert not make_quality(made_data, TRACKER).reused


def test_without_original_and_cutout_a_crop_is_lost_with_the_reason(made_data: Path) -> None:
    (made_data / "input" / JAPANESE / "シーン00.png").unlink()
    for path in (made_data / "store" / "crops").rglob("*.png"):
        path.unlink()
    made = make_quality(made_data, TRACKER)
    (crop,) = made.facts["lost_crops"]
    row = next(row for row in _rows(made_data) if row.crop_id == crop)
    assert row.score is None and all("シーン00.png" in reason for reason in row.absent_reasons)
    assert made.facts["scored"] == sum(row.score is not None for row in _rows(made_data))


def test_crops_without_masks_are_measured_once_the_masks_are_back(made_data: Path) -> None:
    folder = made_data / "tables" / "masks"
    folder.rename(folder.with_name("elsewhere"))
    blind = make_quality(made_data, TRACKER)
    assert blind.facts["scored"] == 0 and blind.facts["lost"] > 0
    assert blind.facts["vetoed"] + blind.facts["lost"] == blind.facts["crops"]
    assert all("materialize the masks" in why for why in blind.facts["lost_crops"].values())
    folder.with_name("elsewhere").rename(folder)
    repaired = make_quality(made_data, TRACKER)
    assert not repaired.reused and repaired.facts["scored"] == blind.facts["lost"] and repaired.facts["lost"] == 0
    assert make_quality(made_data, TRACKER).reused


def test_likeness_to_the_references_is_read_from_the_table_of_characters(made_data: Path) -> None:
    make_quality(made_data, TRACKER)
    rows = [row for row in _rows(made_data) if row.score is not None]
    characters = [a_row(CharacterCrop, crop_id=rows[0].crop_id, similarity=0.75, membership=0.5)]
    store = Store(made_data)
    store.publish(
        store.table_path("characters", TRACKER), CharacterCrop, [to_table(characters, CharacterCrop)], "v1", {}
    )
    make_quality(made_data, TRACKER)
    after = {row.crop_id: row for row in _rows(made_data)}
    assert after[rows[0].crop_id].character == 0.75 and "character" in after[rows[0].crop_id].signals
    other = after[rows[1].crop_id]
    assert other.character is None and "not compared" in other.absent_reasons[other.absent.index("character")]
    assert other.evidence < after[rows[0].crop_id].evidence


def test_vetoed_crops_are_measured_when_asked(made_data: Path) -> None:
    _set(made_data, measure_vetoed=True)
    assert make_quality(made_data, TRACKER).facts["scored"] == len(_rows(made_data))


def test_a_sealed_tracker_keeps_its_results_and_gets_its_quality(made_data: Path) -> None:
    set_sealed(made_data, TRACKER, True)
    before = {path: path.read_bytes() for path in (made_data / "tables").rglob("*.parquet")}
    make_quality(made_data, TRACKER)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_the_basic_profile_measures_less(made_data: Path) -> None:
    _set(made_data, profile="basic")
    made = make_quality(made_data, TRACKER)
    assert set(made.facts["computed"]) == {"face_detections"} and made.facts["scored"] == 0
    assert made.numbers()["crops"] == made.facts["crops"]
    assert sheet_markdown(Store(made_data), scored_crops_of(made.table)) == "no crop has a score"
    _set(made_data, profile="basic", leave_out=["face_detections"])  # and the others have no weights here
    bare = make_quality(made_data, TRACKER)
    assert (bare.facts["computed"], bare.facts["scored"], bare.table.rows) == ({}, 0, made.table.rows)
    assert all(row.score is None and row.evidence == 0.0 and "face" in row.absent for row in _rows(made_data))


def test_a_tracker_without_crops_gives_an_empty_table(data: Path) -> None:
    (data / "trackers").mkdir()
    (data / "trackers" / "EMPTY.toml").write_text("datasets = []\n")
    made = make_quality(data, "EMPTY")
    assert made.table.rows == 0 and made.facts["means"] == {}


# --- CLIP folders and real weights -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(
    not (TEST_MODELS / "sa_0_4_vit_b_32_linear.pth").is_file(), reason="no real weights (LORA_ASSETS_TEST_MODELS)"
)
def test_clip_folders_with_the_real_heads_and_brisque_make_the_aesthetics_signal(made_data: Path) -> None:
    link_real_models(made_data)
    models = made_data / "models"
    tiny_clip(models / "clip-vit-base-patch32", width=512)
    _set(made_data, profile="basic", weights={"clip_iqa": 0.1})
    first = make_quality(made_data, TRACKER)
    assert first.facts["taken"] == {"aesthetics": "laion_linear_b32", "brisque": "brisque"}
    assert "clip-vit-large-patch14" in first.facts["absent"]["laion_mlp_l14"]
    assert all(row.laion_linear_b32 is not None for row in _rows(made_data) if row.score is not None)
    tiny_clip(models / "own" / "large", width=768, tokenizer=False)
    _set(made_data, clip_l14=str(models / "own" / "large"), weights={"clip_iqa": 0.1})
    second = make_quality(made_data, TRACKER)
    assert second.facts["taken"]["aesthetics"] == "laion_mlp_l14" and second.facts["taken"]["clip_iqa"] == "clip_iqa"
    # CLIP-IQA runs on the folder that has a tokenizer; what was measured before is not measured again.
    assert {"laion_mlp_l14", "laion_linear_l14", "clip_iqa"} <= set(second.facts["computed"])
    assert not {"laion_linear_b32", "brisque"} & set(second.facts["computed"])
    (models / "clip-vit-base-patch32" / "vocab.json").unlink()
    assert "no tokenizer" in make_quality(made_data, TRACKER).facts["absent"]["clip_iqa"]
    (models / "own" / "large" / "config.json").unlink()
    assert "has no config.json" in make_quality(made_data, TRACKER).facts["absent"]["laion_mlp_l14"]


# --- bad models ------------------------------------------------------------------------------------------------------


def test_a_model_of_another_signature_stops_the_run_and_is_named(made_data: Path, tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "five-classes.onnx", classes=5)
    _set(made_data, anime_aesthetic_model=str(path))
    with pytest.raises(ModelError, match=r"five-classes.onnx is no aesthetic classifier"):
        make_quality(made_data, TRACKER)


def test_altered_weights_are_an_error_and_absent_ones_are_not(made_data: Path) -> None:
    (made_data / "models").mkdir(exist_ok=True)
    (made_data / "models" / "face_detection_yunet_2023mar.onnx").write_bytes(b"another file")
    with pytest.raises(ModelError, match="is not the file that yunet stands for"):
        make_quality(made_data, TRACKER)


def test_a_model_that_answers_nan_is_absent_in_every_row(made_data: Path, tmp_path: Path) -> None:
    _set(
        made_data, anime_aesthetic_model=str(nan_classifier(tmp_path / "nan.onnx")), weights={"anime_aesthetic": 1.0}
    )  # fmt: skip
    make_quality(made_data, TRACKER)
    for row in _rows(made_data):
        assert row.anime_aesthetic is None
        if row.score is not None:
            assert "no finite number" in row.absent_reasons[row.absent.index("anime_aesthetic")]


# --- odd crops -------------------------------------------------------------------------------------------------------


def _mask(pixels: np.ndarray) -> Mask:
    area = int(pixels.sum())
    share = area / pixels.size
    return Mask("f" * 64, "d", 0, 0, pixels.shape[1], pixels.shape[0], encode_mask(pixels), area, share, 0.9, 0.9)


def _odd(shape: tuple[int, int], level: int, pixel: bool = False) -> tuple[np.ndarray, Mask]:
    mask = np.zeros(shape, np.bool_)
    if pixel:
        mask[shape[0] // 2, shape[1] // 2] = True
    else:
        mask[1:-1, 1:-1] = True
    return np.full((*shape, 3), level, np.uint8), _mask(mask)


@pytest.mark.parametrize(
    ("shape", "level", "pixel"),
    [
        ((40, 30), 0, False),
        ((40, 30), 128, False),
        ((40, 30), 255, False),
        ((40, 30), 90, True),
        ((8000, 60), 70, False),
    ],
    ids=["black", "grey", "white", "one pixel", "8000 pixels"],
)
def test_odd_crops_break_nothing(data: Path, tmp_path: Path, shape: tuple[int, int], level: int, pixel: bool) -> None:
    settings = QualitySettings(
        anime_aesthetic_model=str(tiny_classifier(tmp_path / "aesthetic.onnx")),
        pose_model=str(tiny_simcc(tmp_path / "pose.onnx", np.full((17, 2), 40.0), 0.6)),
    )
    image, mask = _odd(shape, level, pixel)
    plan = engines.plan_engines(settings, data)
    ref = CropRef("c" * 32, "f" * 64, mask, [])

    def load(frame: str, refs: object) -> dict[str, QualityCrop | PictureLost]:
        return {ref.crop_id: crop_of_frame(ref.crop_id, image, mask, [])}

    store = Store(data)
    done = fill_shelves(store, [ref], plan, load, one_at_a_time=False, workers=1, listen=nobody)
    assert done.lost == {} and set(done.computed) == set(plan.recipes())
    crop = load("", [])[ref.crop_id]
    assert isinstance(crop, QualityCrop) and max(crop.mask.shape) <= MOST_SIDE and crop.mask.any()


def test_one_crop_that_breaks_a_model_does_not_cost_the_others_theirs(data: Path) -> None:
    image, mask = _odd((40, 30), 128)
    plan = engines.plan_engines(QualitySettings(leave_out=tuple(PLAIN)), data)

    def measure(crops: list[QualityCrop], names: list[str]) -> dict[str, list[Answer]]:
        if any(crop.crop_id == "b" * 32 for crop in crops):
            raise ValueError("an odd one")
        return {name: [Answer(0.5) for _ in crops] for name in names}

    engine = replace(plan.engines[0], open=lambda: measure, parallel=False)
    refs = [CropRef(name * 32, "f" * 64, mask, []) for name in "abc"]

    def load(frame: str, refs: list[CropRef]) -> dict[str, QualityCrop | PictureLost]:
        return {ref.crop_id: crop_of_frame(ref.crop_id, image, mask, []) for ref in refs}

    store, one = Store(data), replace(plan, engines=(engine,))
    fill_shelves(store, refs, one, load, one_at_a_time=False, workers=1, listen=nobody)  # pyright: ignore
    (recipe,) = one.recipes().values()
    rows = {row["crop_id"][0]: row for _, table in making.metric_shelf(store, recipe).read([r.crop_id for r in refs])
            for row in table.to_pylist()}  # fmt: skip
    assert rows["a"]["value"] == rows["c"]["value"] == 0.5
    assert rows["b"]["value"] is None and "an odd one" in rows["b"]["reason"]


def test_the_mask_of_another_frame_is_lost_not_measured() -> None:
    _, mask = _odd((40, 30), 128)
    with pytest.raises(PictureLost, match="do not belong together"):
        crop_of_frame("c", np.zeros((10, 10, 3), np.uint8), replace(mask, x=50), [])
    empty = np.zeros((40, 30), np.bool_)
    with pytest.raises(PictureLost, match="no pixels"):
        crop_of_frame("c", np.zeros((40, 30, 3), np.uint8), _mask(empty), [])


def test_recipes_follow_what_can_change_a_result(data: Path, tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "aesthetic.onnx")
    plain = QualitySettings(anime_aesthetic_model=str(path))
    base = engines.plan_engines(plain, data, "d1").recipes()
    cutout = engines.plan_engines(replace(plain, picture="cutout"), data, "d1").recipes()
    assert base["anime_aesthetic"].digest != cutout["anime_aesthetic"].digest
    assert base["sharpness"].digest == cutout["sharpness"].digest
    other = engines.plan_engines(replace(plain, weights={"face": 0.9}), data, "d2").recipes()
    changed = {name for name in base if base[name].digest != other[name].digest}
    assert changed == {"face_detections", "pose_key_points"}
    renamed = path.rename(tmp_path / "same content.onnx")
    again = engines.plan_engines(replace(plain, anime_aesthetic_model=str(renamed)), data, "d1").recipes()
    assert again["anime_aesthetic"].digest == base["anime_aesthetic"].digest


# --- the sheet -------------------------------------------------------------------------------------------------------


def test_the_sheet_shows_the_best_and_the_worst_once(made_data: Path) -> None:
    made = make_quality(made_data, TRACKER)
    scored = scored_crops_of(made.table)
    best, worst = best_and_worst(scored)
    assert len({crop for crop, _ in [*best, *worst]}) == len(best) + len(worst) == len(scored)
    assert min(score for _, score in best) >= max(score for _, score in worst)
    assert sheet_markdown(Store(made_data), scored).startswith("![best and worst")
    many = [(str(n), n / 10) for n in range(100)]
    best, worst = best_and_worst(many)
    assert best[0] == ("99", 9.9) and worst[0] == ("0", 0.0) and len(best) == len(worst) == 12
    assert dataset_slug(JAPANESE) in {row.dataset for row in _rows(made_data)}
