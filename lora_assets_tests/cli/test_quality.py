from __future__ import annotations

import json

from lora_assets_tests.tracker.drawn_data import TRACKER, make_data


def test_quality_shows_metrics_with_cost_and_licence_and_the_bands(data, run):
    make_data(data, frames_each=3)
    code, out, _ = run("quality", TRACKER)
    assert code == 0 and "not measured yet" in out and "--make" in out
    assert "laion_mlp_l14" in out and "Apache-2.0" in out and "PolyForm Noncommercial" in out and "heavy" in out
    code, out, _ = run("quality", TRACKER, "--make")
    assert code == 0 and "must take" in out and "the score is made of: sharpness 40%" in out
    assert "absent in the whole tracker: aesthetics" in out and "image_quality" in out


def test_quality_as_json(data, run):
    make_data(data, frames_each=3)
    code, out, _ = run("quality", TRACKER, "--make", "--json")
    told = json.loads(out)
    states = {metric["name"]: metric["state"] for metric in told["metrics"]}
    assert code == 0 and states["sharpness"] == "ready" and states["brisque"] == states["character"] == "absent"
    assert all(metric["source"] and metric["licence"] for metric in told["metrics"])
    assert sum(told["table"]["bands"].values()) == told["table"]["scored"]


def test_what_does_not_fit_is_told_in_one_line(data, run):
    make_data(data, frames_each=3)
    assert run("quality", "NOBODY")[0] == 3
    path = data / "trackers" / f"{TRACKER}.toml"
    path.write_text(path.read_text(encoding="utf-8") + '\n[quality]\nprofile = "quick"\n', encoding="utf-8")
    code, _, err = run("quality", TRACKER)
    assert code == 3 and "profile 'quick' is not known" in err and err.count("\n") == 1
