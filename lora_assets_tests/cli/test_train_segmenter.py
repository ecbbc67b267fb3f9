from __future__ import annotations

import json

import pytest

from lora_assets_tests.finetuning.drawn import write_sam2, write_set


def test_a_segmenter_is_tuned_judged_and_told(run, project):
    write_set(project / "data" / "annotations" / "tiny", train=1, val=1)
    base = write_sam2(project / "tiny-sam2")
    given = ("--annotations", "tiny", "--base", str(base), "--set", "steps=2", "--set", "prompts=2", "--set", "pages=1")
    code, out, err = run("train-segmenter", "mine", *given, "--check")
    assert (code, err) == (0, "")
    assert "memory: about" in out
    assert not (project / "data" / "segmenters" / "mine").exists()
    assert "steps = 2  # steps of the optimizer" in (project / "data" / "segmenters" / "mine.toml").read_text()
    code, out, err = run("train-segmenter", "mine")
    assert (code, err) == (0, "")
    assert out.index("memory: about") < out.index("tune mine: 2 of 2") < out.index("tuned: 2 steps")
    assert "95 % of the gain" in out
    assert "report:" in out
    code, out, _ = run("train-segmenter", "mine", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["card"]["name"] == "mine"
    assert told["card"]["verdict"] in ("better", "worse than its base")
    assert {one["category"] for one in told["figures"]} == {"panel", "bubble", "all"}
    code, out, _ = run("models", "list", "--json")
    assert next(one for one in json.loads(out) if one["name"] == "mine")["note"].startswith("tuned from")
    code, _, err = run("train-segmenter", "mine", *given)
    assert code == 3
    assert "there already" in err


def test_a_new_sam2_begins_where_no_checkpoint_can_be_had(run, project):
    write_set(project / "data" / "annotations" / "tiny", train=1, val=1)
    given = ("--annotations", "tiny", "--new-sam2", "32", "--set", "steps=1")
    code, out, err = run("train-segmenter", "mine", *given, "--check")
    assert (code, err) == (0, "")
    assert "codes places" not in out
    written = (project / "data" / "segmenters" / "mine.toml").read_text()
    assert "balanced_weight = 1.0" in written
    assert "steps = 1 " in written
    assert (project / "data" / "segmenters" / "mine" / "start" / "model.safetensors").is_file()
    code, _, err = run("train-segmenter", "other", "--annotations", "nowhere", "--new-sam2", "32")
    assert (code, "nowhere" in err) == (3, True)
    assert not (project / "data" / "segmenters" / "other" / "start").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("mine",), 3, "name --annotations SET and --base MODEL"),
        (("mine", "--resume", "--anew"), 2, "not both"),
        (("mine", "--annotations", "x", "--base", "starter-sam", "--set", "steps=0"), 3, "steps must lie from 1"),
        (("mine", "--annotations", "x", "--base", "starter-sam", "--set", "steps"), 3, "write NAME=VALUE"),
        (("starter-sam", "--annotations", "x", "--base", "starter-sam"), 3, "belongs to known weights"),
        (("mine", "--annotations", "nowhere", "--base", "starter-sam"), 3, "nowhere"),
        (
            ("mine", "--annotations", "x", "--base", "starter-sam", "--set", "stpes=5"),
            3,
            "unknown setting stpes; known:",
        ),
        (("mine", "--annotations", "x", "--base", "starter-sam", "--new-sam2", "64"), 2, "not both"),
        (("mine", "--annotations", "x", "--new-sam2", "50"), 3, "multiple of 16"),
        (("../mine", "--annotations", "x", "--base", "starter-sam"), 3, "does not fit"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(run, project, arguments, code, told):
    found, _, err = run("train-segmenter", *arguments)
    assert found == code
    assert told in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
