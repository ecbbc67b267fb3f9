"""The labels and the choice of a language."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lora_assets.tracker
from lora_assets.models.registry import CHECK, WEIGHTS
from lora_assets.tracker.language import LANGUAGES, LabelError, choose_language, read_labels
from lora_assets.vision.checks import CHECKS

TRACKER = Path(lora_assets.tracker.__file__).parent


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_languages_have_the_same_keys_and_places():
    english = read_labels("en").words
    for code in LANGUAGES:
        words = read_labels(code).words
        assert words.keys() == english.keys(), code
        assert all(words.values()), code
        assert {key: _places(text) for key, text in words.items()} == {k: _places(v) for k, v in english.items()}, code


def test_every_label_is_used_and_every_used_label_exists():
    source = "\n".join(
        path.read_text(encoding="utf-8") for pattern in ("templates/*.html", "*.py") for path in TRACKER.glob(pattern)
    )
    words = read_labels("en").words
    for key in re.findall(r'\bt\("([a-z0-9_.]+)"[,)]', source):
        assert key in words, key
    grouped = (
        "body.", "compare_", "flag.", "framing.", "funnel.", "lab.show_", "lab.why_", "network.", "part.", "progress.",
        "ready.", "ready_state.",
        "reason.", "said.", "script.ground_", "script.mark_", "script.said_", "script.why_", "sort.", "sort_hint.",
        "stage.", "tab.", "tier.", "tier_use.", "verdict.", "view.", "why.",
    )  # fmt: skip
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in TRACKER.glob("static/*.js"))
    for key in re.findall(r'\bword\("([a-z0-9_]+)"', scripts):
        assert f"script.{key}" in words, key
    source += "".join(f'"script.{name}"' for name in re.findall(r'"([a-z0-9_]+)"', scripts))
    unused = [key for key in words if not key.startswith(grouped) and f'"{key}"' not in source]
    assert unused == []


def test_every_word_of_scripts_is_used_and_every_used_one_exists():
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in (TRACKER / "static").glob("*.js"))
    words = read_labels("en").group("script")
    begun = {name for name in words for start in re.findall(r"`([a-z]+_)\$\{", scripts) if name.startswith(start)}
    assert set(words) - begun - set(re.findall(r'"([a-z_]+)"', scripts)) == set()
    for name in re.findall(r'\bword\("([a-z_]+)"', scripts):
        assert name in words, name


def test_every_check_has_a_word_in_every_language():
    for code in LANGUAGES:
        labels = read_labels(code)
        assert [check.name for check in CHECKS if f"flag.{check.name}" not in labels.words] == [], code


def test_every_network_that_checks_ask_has_a_word_in_every_language():
    names = {weights.name for weights in WEIGHTS if weights.task == CHECK}
    for code in LANGUAGES:
        assert set(read_labels(code).group("network")) == names, code


def test_every_check_says_why_in_every_language():
    for code in LANGUAGES:
        words = read_labels(code).group("why")
        assert set(words) >= {check.name for check in CHECKS}, code
    english = read_labels("en").group("why")
    assert {check.name: check.why for check in CHECKS} == {check.name: english[check.name] for check in CHECKS}


def test_unknown_values_are_shown_by_their_own_name():
    labels = read_labels("ja")
    assert labels.named("flag", "a_new_defect") == "a new defect"
    assert labels.named("tier", "high") == "高"
    with pytest.raises(LabelError, match=r"no\.such"):
        labels("no.such")


@pytest.mark.parametrize(
    ("asked", "kept", "wish", "chosen"),
    [
        ("", "", "", "en"),
        ("", "", "ja,en;q=0.8", "ja"),
        ("", "", "de;q=0.9, zh-TW;q=0.8, en;q=0.1", "zh-TW"),
        ("", "", "en;q=0.2,ja;q=0.9", "ja"),
        ("", "", "zh-Hant-HK", "zh-TW"),
        ("", "", "ja;q=0, en", "en"),
        ("", "", "fr", "en"),
        ("", "ja", "en", "ja"),
        ("zh-TW", "ja", "en", "zh-TW"),
        ("../../etc", "<b>", "", "en"),
    ],
)
def test_the_switch_wins_then_the_cookie_then_the_browser(asked: str, kept: str, wish: str, chosen: str):
    assert choose_language(asked, kept, wish) == chosen


@settings(deadline=None, max_examples=50)
@given(st.text(), st.text(), st.text())
def test_any_text_gives_a_language(asked: str, kept: str, wish: str):
    assert choose_language(asked, kept, wish) in LANGUAGES
