"""curate and characters on the command line."""

from __future__ import annotations

import json

import pytest

from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets_tests.curation.dolls import TRACKER, little_film, write_dolls


@pytest.fixture
def dolls(project, data):
    write_tracker(data, TrackerSpec(TRACKER, ("film",), settings={"curate": {"target": 12}}))
    return write_dolls(data, little_film())


def test_curate_tells_funnel_reasons_and_readiness(run, dolls, tmp_path):
    code, out, _ = run("curate", TRACKER, "--sheets", str(tmp_path / "sheets"))
    assert code == 0
    assert "the dataset is blocked" in out
    assert "only 12 crops are chosen: under 15" in out
    for words in ("funnel", "not vetoed", "among", "coverage", "recommended repeats", "models pull ccip"):
        assert words in out or words == "among"
    assert {path.name for path in (tmp_path / "sheets").iterdir() if path.suffix == ".png"} == {
        "funnel.png", "chosen.png", "characters.png", "groups.png",
    }  # fmt: skip
    code, out, _ = run("curate", TRACKER, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["funnel"]["chosen"] == 12
    assert report["state"] == "blocked"


def test_characters_are_listed_named_merged_and_split(run, dolls):
    code, out, _ = run("characters", TRACKER, "--json")
    assert code == 0
    found = json.loads(out)["characters"]
    assert [one["crops"] for one in found] == [40, 30, 10]
    first, second, third = (one["id"] for one in found)
    assert run("characters", "name", first, "アカ")[0] == 0
    code, _, error = run("characters", "name", second, "アカ")
    assert code == 3
    assert f"characters merge {second} {first}" in error
    assert run("characters", "merge", second, first)[0] == 0
    code, out, _ = run("characters", "list", TRACKER)
    assert code == 0
    assert "アカ" in out
    assert second not in out.replace("film", "")
    code, out, _ = run("characters", "split", TRACKER, first, "--shot", "film 0004")
    assert code == 0
    assert "10 crops of" in out
    code, out, _ = run("characters", TRACKER, "--json")
    assert [one["crops"] for one in json.loads(out)["characters"]] == [60, 10, 10]
    assert third in out


def test_what_does_not_fit_is_told(run, dolls, data):
    code, _, error = run("curate", "NOBODY")
    assert code == 3
    assert "there is no tracker NOBODY" in error
    code, _, error = run("characters", "split", TRACKER, "ch-0001", "--crop", "x")
    assert code == 3
    assert "has no characters yet" in error
    write_tracker(data, TrackerSpec("WRONG", ("film",), settings={"curate": {"method": "best"}}))
    code, _, error = run("curate", "WRONG")
    assert code == 3
    assert "section [curate]: method 'best' is unknown" in error
    code, _, error = run("curate", "WRONG", "--json")
    assert code == 3
