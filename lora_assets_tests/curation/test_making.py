"""The curated dataset of a tracker, end to end on dolls: reasons, verdicts, split, readiness, funnel."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.curation.checking import dataset_ready, no_veto_chosen, parts_share_nothing
from lora_assets.curation.drawing import characters_sheet, chosen_sheet, draw_funnel, groups_sheet
from lora_assets.curation.framing import framing_of, view_of
from lora_assets.curation.groups import make_groups
from lora_assets.curation.made import read_curated
from lora_assets.curation.making import make_curated
from lora_assets.curation.readiness import WORDS
from lora_assets.curation.reasons import FUNNEL, REASONS, in_words
from lora_assets.curation.settings import CurateSettings
from lora_assets.curation.splitting import TRAIN, VALIDATION, split_parts
from lora_assets.identity.descriptions import describe_crops
from lora_assets.identity.making import make_characters
from lora_assets.identity.registry import rename_character
from lora_assets.identity.tracker_crops import read_crops
from lora_assets.store import Store
from lora_assets.tracker.language import LANGUAGES, read_labels
from lora_assets.verdicts import Mark, open_log, tracker_places
from lora_assets_tests.curation.dolls import TRACKER, Doll, Shown, little_film, write_dolls


def _made(store: Store, **told):
    make_groups(store, TRACKER)
    make_characters(store, TRACKER)
    return make_curated(store, TRACKER, CurateSettings(**{"least_pictures": 2, **told}))


def _say(store: Store, crop: str, value: str) -> None:
    place = next(place for place in tracker_places(store, TRACKER) if place.crop_id == crop)
    with open_log(store.data) as log:
        log.append(Mark(TRACKER, place.dataset, place.frame_sha256, place.box, crop, value, f"r-{crop}-{value}"))


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    data = tmp_path_factory.mktemp("filmed")
    return Store(data), write_dolls(data, little_film())


def test_every_crop_is_in_or_out_with_a_reason(filmed):
    store, written = filmed
    made = _made(store, target=12, validation=0.2)
    assert {row.crop_id for row in made.rows} == set(written.dolls)
    chosen = [row for row in made.rows if row.chosen]
    assert len(chosen) == 12
    assert all(REASONS[row.reason].takes_in == row.chosen for row in made.rows)
    assert all(in_words(row.reason, row.reason_value, row.reason_limit) for row in made.rows)
    assert all((row.part != "") == row.chosen == (row.repeats > 0) == (row.rank > 0) for row in made.rows)
    assert max(Counter(row.group for row in chosen).values()) <= 2
    assert {row.score_source for row in made.rows} == {"rules"}
    assert {row.part for row in chosen} == {TRAIN, VALIDATION}
    assert parts_share_nothing(store, TRACKER).passed
    assert no_veto_chosen(store, TRACKER).passed
    again = make_curated(store, TRACKER, CurateSettings(least_pictures=2, target=12, validation=0.2))
    assert again.rows == made.rows
    assert again.table.version == made.table.version


def test_the_funnel_narrows_to_the_chosen(filmed):
    made = _made(filmed[0], target=12)
    funnel = [made.report["funnel"][stage] for stage in FUNNEL]
    assert funnel[:2] == [60, 80]
    assert funnel[1:] == sorted(funnel[1:], reverse=True)
    assert funnel[-1] == 12
    assert made.numbers()["funnel_chosen"] == 12.0
    assert draw_funnel(made.report["funnel"]).startswith(b"\x89PNG")


def test_one_character_by_id_and_by_name(filmed):
    store, written = filmed
    _made(store)
    ids = {written.dolls[row.crop_id].who: row.character_id for row in make_characters(store, TRACKER).rows}
    rename_character(store.data, ids["green"], "ミドリ")
    for wanted in (ids["green"], " ミドリ"):
        made = _made(store, character=wanted)
        assert {written.dolls[row.crop_id].who for row in made.rows if row.chosen} == {"green"}
        assert Counter(row.reason for row in made.rows)["other_character"] == 50
    nobody = _made(store, character="nobody")
    assert nobody.report["state"] == "blocked"
    assert {one["code"] for one in nobody.report["findings"]} >= {"unknown_character", "nothing_chosen"}
    assert not any(row.chosen for row in nobody.rows)


def test_a_persons_word_beats_every_rule(tmp_path):
    film = [
        Shown([Doll("red", arms=step / 6, score=0.9 - step / 20, vetoed=step == 5)], noise=step, place=step)
        for step in range(6)
    ]
    store, written = Store(tmp_path), write_dolls(tmp_path, film)
    best, second, *_, vetoed = [crop for (crop,) in written.frames]
    before = {row.crop_id: row for row in _made(store).rows}
    assert before[best].chosen
    assert (before[vetoed].reason, before[vetoed].reason_value, before[vetoed].reason_limit) == ("veto", 2.0, 1.0)
    _say(store, best, "bad")
    _say(store, second, "exclude")
    _say(store, vetoed, "good")
    made = _made(store, target=1)
    after = {row.crop_id: row for row in made.rows}
    assert after[best].reason == "said_bad"
    assert after[second].reason == "said_exclude"
    assert after[vetoed].chosen
    assert (after[vetoed].reason, after[vetoed].verdict) == ("said_good", "good")
    assert [row.crop_id for row in made.rows if row.chosen] == [vetoed]
    assert "veto_overruled" in {one["code"] for one in made.report["findings"]}
    found = no_veto_chosen(store, TRACKER)
    assert found.passed
    assert found.numbers == {"vetoed_chosen": 0.0, "overruled_by_a_person": 1.0}


def test_a_dissolve_is_never_chosen(tmp_path):
    dolls = [Doll("red")]
    film = [Shown(dolls, place=0, noise=n) for n in range(6)]
    film += [Shown(dolls, place=1, noise=10 + n, under=0, share=share) for n, share in enumerate((0.25, 0.5, 0.75))]
    film += [Shown(dolls, place=1, noise=20 + n) for n in range(6)]
    store, written = Store(tmp_path), write_dolls(tmp_path, film)
    rows = {row.crop_id: row for row in _made(store).rows}
    lost = [number for number, (crop,) in enumerate(written.frames) if rows[crop].reason == "mixed"]
    assert lost == [6, 7, 8]


def test_a_target_larger_than_the_pool_and_low_tiers(filmed):
    made = _made(filmed[0], target=500)
    assert {one["code"]: (one["value"], one["limit"]) for one in made.report["findings"]}["under_target"] == (
        float(made.report["funnel"]["chosen"]), 500.0,
    )  # fmt: skip
    assert made.report["state"] == "attention"
    none = _made(filmed[0], tiers=("low",))
    assert none.report["state"] == "blocked"
    assert none.report["reasons"] == {"tier": 80}
    assert not dataset_ready(filmed[0], TRACKER).passed


def test_an_empty_pool_gives_an_empty_but_valid_report(tmp_path):
    store = Store(tmp_path)
    for frames in ([], [Shown()]):
        if frames:
            write_dolls(tmp_path, frames)
        made = _made(store)
        assert made.rows == ()
        assert made.report["state"] == "blocked"
        assert [one["code"] for one in made.report["findings"]] == ["no_crops"]
        assert made.report["mean_score"] is None
    assert draw_funnel(made.report["funnel"])
    assert (
        chosen_sheet(store, ()).shape[2]
        == characters_sheet(store, ()).shape[2]
        == groups_sheet(store, ()).shape[2]
        == 3
    )


def test_without_groups_and_characters_it_says_so(tmp_path):
    write_dolls(tmp_path, little_film()[:10])
    made = make_curated(Store(tmp_path), TRACKER)
    assert {"no_groups", "no_characters"} <= {one["code"] for one in made.report["findings"]}
    assert read_curated(Store(tmp_path), "OTHER") is None
    assert not parts_share_nothing(Store(tmp_path), "OTHER").passed


def test_a_frame_is_never_parted_though_the_groups_are_older(tmp_path):
    """A detector that finds more figures gives a frame crops that the groups do not know."""
    store = Store(tmp_path)
    film = [Shown([Doll("red", 90, arms=shot / 8)], place=shot, noise=shot) for shot in range(8)]
    write_dolls(tmp_path, film)
    _made(store)
    written = write_dolls(tmp_path, [replace(shown, dolls=[*shown.dolls, Doll("green", 220)]) for shown in film])
    assert any(len(crops) == 2 for crops in written.frames)
    for seed in range(20):
        told = CurateSettings(least_pictures=2, validation=0.3, seed=seed, per_group=9)
        made = make_curated(store, TRACKER, told)
        assert "stale_groups" in {one["code"] for one in made.report["findings"]}
        assert parts_share_nothing(store, TRACKER).passed
    assert "stale_groups" not in {one["code"] for one in _made(store).report["findings"]}


def test_crops_are_grouped_anew_when_their_pictures_are_back(tmp_path):
    store = Store(tmp_path)
    written = write_dolls(tmp_path, little_film()[:20])
    paths = [store.picture("thumbs", crop, ".webp") for crop in written.dolls]
    paths += [store.picture("frame_thumbs", frame, ".webp") for frame in {c.frame_sha256 for c in _crops(store)}]
    kept = {path: path.read_bytes() for path in paths}
    for path in kept:
        path.unlink()
    blind, chosen = make_groups(store, TRACKER), make_curated(store, TRACKER)
    assert blind.numbers["groups"] == len(written.dolls)
    assert make_groups(store, TRACKER).table.version == blind.table.version
    for path, content in kept.items():
        path.write_bytes(content)
    seen = make_groups(store, TRACKER)
    assert seen.table.version != blind.table.version
    assert seen.numbers["groups"] < blind.numbers["groups"]
    assert seen.numbers["shots"] > blind.numbers["shots"]
    assert make_curated(store, TRACKER).table.version != chosen.table.version
    assert make_groups(store, TRACKER).table.version == seen.table.version


def _crops(store: Store):
    return read_crops(store, TRACKER).crops


def test_the_framing_is_by_the_crops_own_head(tmp_path):
    """The surest head of the window is that of a figure beside, which the mask leaves out."""
    write_dolls(tmp_path, [Shown([Doll("red", top=10, head=24)])])
    store = Store(tmp_path)
    (crop,) = _crops(store)
    beside = (0.0, 100.0, 20.0, 120.0)
    assert describe_crops(store, [replace(crop, heads=(beside,))]).heads == (None,)
    two = replace(crop, heads=(beside, *crop.heads))
    assert framing_of(two, describe_crops(store, [two]).heads[0]) == "full"
    assert describe_crops(store, [two]).heads == (crop.heads[0],)


def test_coverage_says_what_is_not_measured(filmed):
    report = _made(filmed[0], target=12).report
    assert sum(cell["crops"] for cell in report["coverage"]) == 12
    assert {cell["view"] for cell in report["coverage"]} == {"not measured"}
    assert {cell["framing"] for cell in report["coverage"]} >= {"face", "bust", "half", "full"}


def _points(*sure: int, nose_x: float = 50.0) -> tuple[float, ...]:
    points = [[0.0, 0.0, 0.0] for _ in range(17)]
    for place in sure:
        points[place] = [60.0 if place % 2 else 40.0, 20.0, 0.9]
    if 0 in sure:
        points[0][0] = nose_x
    return tuple(number for point in points for number in point)


@pytest.mark.parametrize(
    ("sure", "framing", "view"),
    [
        ((0, 1, 2), "face", "front"), ((0, 1, 2, 5, 6), "bust", "front"), ((0, 1, 3, 11), "half", "side"),
        ((3, 4, 5, 6, 15), "full", "back"),
    ],
)  # fmt: skip
def test_framing_and_view_by_key_points(tmp_path, sure, framing, view):
    write_dolls(tmp_path, [Shown([Doll("red", key_points=_points(*sure))])])
    (crop,) = read_crops(Store(tmp_path), TRACKER).crops
    assert (framing_of(crop, None), view_of(crop)) == (framing, view)


@pytest.mark.parametrize(
    ("doll", "framing"),
    [
        (Doll("red", top=10, head=24), "full"), (Doll("red", top=40, head=36), "half"),
        (Doll("red", top=40, head=60), "bust"), (Doll("red", top=30, head=130), "face"),
        (Doll("red", with_head=False), "unknown"),
    ],
)  # fmt: skip
def test_framing_by_heads(tmp_path, doll, framing):
    write_dolls(tmp_path, [Shown([doll])])
    store = Store(tmp_path)
    (crop,) = read_crops(store, TRACKER).crops
    (head,) = describe_crops(store, [crop]).heads
    assert framing_of(crop, head) == framing
    assert view_of(crop) == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12), st.integers(0, 30)), max_size=40),
    st.floats(0, 0.5),
    st.integers(0, 5),
)
def test_a_split_never_parts_a_shot_a_group_or_a_frame(places, share, seed):
    shots, groups, frames = ([f"{name}{place[at]}" for place in places] for at, name in enumerate("sgf"))
    parts = split_parts(shots, groups, share, seed, frames)
    for names in (shots, groups, frames):
        sides: dict[str, set[str]] = {}
        for name, part in zip(names, parts, strict=True):
            sides.setdefault(name, set()).add(part)
        assert all(len(side) == 1 for side in sides.values())
    assert parts.count(VALIDATION) <= max(1, round(share * len(places)))
    assert not parts or TRAIN in parts
    assert split_parts(shots, groups, share, seed, frames) == parts


def test_every_code_has_words_in_every_language():
    for code in LANGUAGES:
        labels = read_labels(code)
        assert set(labels.group("reason")) == set(REASONS)
        assert set(labels.group("ready")) == set(WORDS)
        assert set(labels.group("funnel")) == set(FUNNEL)
