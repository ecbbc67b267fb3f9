from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.models import WEIGHTS
from lora_assets.quality.ensemble import BAND_NAMES, PROFILES, WEIGHT_SETS, band_of, combine, ranks, signal_weights
from lora_assets.quality.metrics import METRIC, METRICS, SIGNALS
from lora_assets.quality.settings import QualitySettings
from lora_assets.specs import SpecError, TrackerSpec, section_settings
from lora_assets.tables import columns
from lora_assets.tables.quality import ImageQuality

CHOICE = QualitySettings().signal_metrics()
START = signal_weights("start", {})
NAN = float("nan")


# --- the table of metrics --------------------------------------------------------------------------------------------


def test_every_metric_is_a_column_and_its_weights_are_known() -> None:
    names = {known.name for known in WEIGHTS}
    assert {metric.name for metric in METRICS} <= set(columns(ImageQuality))
    for metric in METRICS:
        assert set(metric.weights) <= names, metric.name
        assert metric.better in ("higher", "lower") and metric.low < metric.high
        assert metric.source and metric.licence and metric.what and metric.cost in ("free", "cheap", "model", "heavy")
        licences = [known.commercial for known in WEIGHTS if known.name in metric.weights]
        assert metric.commercial <= all(licences), metric.name


@given(st.lists(st.floats(-50, 150, allow_nan=False), min_size=2, max_size=30))
def test_normalised_values_keep_the_direction(values: list[float]) -> None:
    for metric in METRICS:
        scaled = metric.normalised(np.array(values))
        assert ((scaled >= 0) & (scaled <= 1)).all()
        rising = np.argsort(values) if metric.better == "higher" else np.argsort(values)[::-1]
        assert (np.diff(scaled[rising]) >= 0).all()


def test_the_start_marks_of_the_specification() -> None:
    told = {metric.name: metric.marks for metric in METRICS if metric.marks}
    assert told.pop("musiq") == (0.5, 0.7, 0.9) and told.pop("brisque") == (0.7,)
    assert set(told.values()) == {(0.8,)} and all(METRIC[name].signal == "pose" for name in told)
    assert METRIC["brisque"].normalised(np.array([30.0]))[0] == pytest.approx(0.7)
    assert METRIC["musiq"].normalised(np.array([90.0]))[0] == pytest.approx(0.9)


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(WEIGHT_SETS))
def test_a_set_of_weights_sums_to_one(name: str) -> None:
    assert sum(WEIGHT_SETS[name].values()) == pytest.approx(1.0)
    assert set(WEIGHT_SETS[name]) <= set(SIGNALS)


def test_weights_are_those_of_the_specification_and_can_be_changed() -> None:
    assert START["aesthetics"] == 0.30 and START["face"] == 0.20 and START["brisque"] == 0.15 and START["musiq"] == 0
    assert signal_weights("less_portrait", {})["brisque"] == 0.25
    assert signal_weights("start", {"anime_aesthetic": 0.3})["anime_aesthetic"] == 0.3
    assert set(signal_weights("start", {}, "basic")) == set(PROFILES["basic"])


# --- the score -------------------------------------------------------------------------------------------------------


def test_weights_are_renormalised_over_what_is_there() -> None:
    values = {
        "sharpness": np.array([1.0, 0.5, NAN]),
        "lighting": np.array([0.0, NAN, NAN]),
        "contrast": np.array([0.5, 1.0, NAN]),
    }
    found = combine(values, CHOICE, START)
    assert found.score[0] == pytest.approx(10 * (0.10 * 1.0 + 0.10 * 0.0 + 0.05 * 0.5) / 0.25)
    assert found.score[1] == pytest.approx(10 * (0.10 * 0.5 + 0.05 * 1.0) / 0.15)
    assert np.isnan(found.score[2]) and np.isnan(found.rank[2]) and np.isnan(found.disagreement[2])
    assert found.disagreement[0] == pytest.approx(np.std([1.0, 0.0, 0.5]))
    assert found.taken == {"sharpness": "sharpness", "lighting": "lighting", "contrast": "contrast"}


def test_nothing_is_made_up_where_nothing_is_there() -> None:
    found = combine({"brisque": np.array([NAN, NAN])}, CHOICE, START)
    assert np.isnan(found.score).all() and found.signals == {} and found.weights == {}
    assert len(combine({}, CHOICE, START).score) == 0


def test_a_signal_takes_one_metric_for_the_whole_tracker() -> None:
    values = {"laion_linear_b32": np.array([5.0, 6.0]), "laion_mlp_l14": np.array([4.0, NAN])}
    found = combine(values, CHOICE, START)
    assert found.taken == {"aesthetics": "laion_mlp_l14"}
    assert np.isnan(found.score[1])  # never filled in from another scale
    del values["laion_mlp_l14"]
    assert combine(values, CHOICE, START).taken == {"aesthetics": "laion_linear_b32"}


def test_photographic_metrics_are_ranked_and_others_are_not() -> None:
    values = {"brisque": np.array([90.0, 70.0, 80.0]), "sharpness": np.array([0.2, 0.3, 0.4])}
    ranked = combine(values, CHOICE, START)
    assert ranked.signals["brisque"] == pytest.approx([1 / 6, 5 / 6, 3 / 6])
    assert ranked.signals["sharpness"] == pytest.approx([0.2, 0.3, 0.4])
    absolute = combine(values, CHOICE, START, rank_unproven=False)
    assert absolute.signals["brisque"] == pytest.approx([0.1, 0.3, 0.2])


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=20),
    st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=1, max_size=20),
)
def test_scores_stay_on_their_scale(sharp: list[float | None], brisque: list[float | None]) -> None:
    length = min(len(sharp), len(brisque))
    as_array = [np.array([NAN if v is None else v for v in each[:length]]) for each in (sharp, brisque)]
    found = combine({"sharpness": as_array[0], "brisque": as_array[1]}, CHOICE, START)
    there = np.isfinite(as_array[0]) | np.isfinite(as_array[1])
    assert (np.isfinite(found.score) == there).all()
    assert ((found.score[there] >= 0) & (found.score[there] <= 10 + 1e-9)).all()
    spread = found.disagreement[np.isfinite(found.disagreement)]
    assert ((spread >= 0) & (spread <= 0.5 + 1e-9)).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_ranks_follow_the_order_and_share_ties(values: list[float]) -> None:
    placed = ranks(np.array(values))
    assert placed.mean() == pytest.approx(0.5)
    for one, rank in zip(values, placed, strict=True):
        below, equal = sum(v < one for v in values), sum(v == one for v in values)
        assert rank == pytest.approx((below + equal / 2) / len(values))


def test_bands() -> None:
    assert [band_of(score) for score in (10, 9, 8.99, 7, 5, 3, 2.99, 0)] == [
        "must take", "must take", "prefer", "prefer", "consider", "careful", "leave out", "leave out"
    ]  # fmt: skip
    assert [band_of(score, (8, 6, 4, 2)) for score in (8.5, 7, 5, 3, 1)] == list(BAND_NAMES)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"profile": "quick"}, "profile 'quick' is not known"),
        ({"weights": {"aestetics": 1}}, "did you mean aesthetics"),
        ({"weights": {"face": -1}}, "at least 0"),
        ({"leave_out": ["blur"]}, "the metric 'blur'"),
        ({"bands": [9, 7, 7, 3]}, "falling limits"),
        ({"batch": 0}, "batch 0"),
        ({"picture": "frame"}, "known: window, cutout"),
        ({"bands": 9}, "bands 9 must be a list"),
        ({"clip_iqa_prompts": ["Good photo."]}, "pairs"),
        ({"clip_iqa_prompts": "Good photo"}, "clip_iqa_prompts must be a list of texts"),
        ({"leave_out": "musiq"}, "leave_out must be a list of texts"),
        ({"weights": 5}, "weights: the weight must be told by name"),
        ({"clip_b32": 5}, "clip_b32 must be a name"),
        ({"aesthetics": ["brisque"]}, "aesthetics metric"),
        ({"face_parts": {"confidence": 0, "size": 0, "pose": 0}}, "all weigh 0"),
        ({"half": 1}, "true or false"),
        ({"sharpnes": 1}, "unknown setting"),
    ],
)
def test_settings_that_do_not_fit_are_told(section: dict, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        section_settings(QualitySettings, TrackerSpec("T1", settings={"quality": section}), "quality")


def test_profiles_and_left_out_metrics_decide_what_is_measured() -> None:
    basic = QualitySettings(profile="basic").wanted_metrics()
    assert {METRIC[name].signal for name in basic} == {"aesthetics", "face", "brisque"}
    assert "anime_aesthetic" in QualitySettings(profile="basic", aesthetics=("anime_aesthetic",)).wanted_metrics()
    assert "musiq" not in QualitySettings(leave_out=("musiq",)).wanted_metrics()
