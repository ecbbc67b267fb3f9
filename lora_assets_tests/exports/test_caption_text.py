from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.exports.caption_text import (
    PLACES,
    check_template,
    choose_tags,
    fault_of_line,
    joined_parts,
    render_caption,
    with_trigger,
    written_tag,
)
from lora_assets.exports.settings import CaptionSettings
from lora_assets.exports.tag_lists import PRUNE_GROUPS, SMILEYS

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12)
TAGS = ["1girl", "blue_hair", "long_hair", "smile", "^_^", "red_eyes", "mio_(film)", "sensitive", "school_uniform"]
CATEGORIES = ["general"] * 6 + ["character", "rating", "general"]
SCORES = [0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.9, 0.8, 0.36]


def chosen(**changes):
    told = {"general_threshold": 0.35, "character_threshold": 0.85, "prune": ("hair", "eyes", "names")}
    return choose_tags(TAGS, CATEGORIES, SCORES, **(told | changes))


def test_tags_that_say_who_it_is_are_pruned_and_smileys_keep_their_underscore():
    found = chosen()
    assert found.tags == ("1girl", "smile", "^_^", "school uniform")
    assert found.scores == (0.99, 0.8, 0.7, 0.36)
    assert set(found.pruned) == {"blue_hair", "long_hair", "red_eyes", "mio_(film)"}


def test_what_is_pruned_can_be_settled():
    assert "blue hair" in chosen(prune=("eyes",)).tags
    assert "blue hair" in chosen(keep=("blue_hair",)).tags
    assert "smile" not in chosen(also=("smi*",)).tags
    assert "mio (film)" in chosen(prune=()).tags
    assert "mio \\(film\\)" in chosen(prune=(), escape_brackets=True).tags
    assert "school_uniform" in chosen(spaces=False).tags
    assert chosen(most=1).tags == ("1girl",)
    assert chosen(general_threshold=0.9).tags == ("1girl",)
    assert "mio (film)" not in chosen(prune=(), character_threshold=0.95).tags


def test_ratings_are_never_in_a_caption():
    assert "sensitive" not in chosen(prune=(), general_threshold=0.1).tags


@pytest.mark.parametrize("smiley", sorted(SMILEYS))
def test_smileys_stay(smiley):
    assert written_tag(smiley) == smiley


def test_the_lists_are_plain_tags():
    for patterns in PRUNE_GROUPS.values():
        assert all("_" not in pattern and pattern == pattern.lower() for pattern in patterns)
        assert len(set(patterns)) == len(patterns)


def test_a_template_puts_the_trigger_first_and_leaves_out_what_is_empty():
    values = {"class_word": "girl", "tags": "smile, standing, girl", "framing": ""}
    assert render_caption("{framing}, {class_word}, {tags}, {trigger}", values, "mio") == "mio, girl, smile, standing"
    assert render_caption("{class_word}, {tags}", {"tags": "hatsune mio"}, "mio") == "mio, hatsune mio"
    assert render_caption("{tags}", {}, "") == ""


@given(st.lists(WORDS, max_size=5), WORDS.map(str.strip).filter(bool))
def test_a_caption_is_one_line_that_names_the_trigger_and_says_nothing_twice(parts, trigger):
    trigger = trigger.replace(",", "").strip() or "t"
    caption = render_caption("{class_word}, {tags}, {framing}", {"tags": ", ".join(parts)}, trigger)
    assert caption.split(",")[0] == trigger
    assert not fault_of_line(caption)
    own = [part.strip() for part in caption.split(",")]
    assert len(set(own)) == len(own)
    assert with_trigger(caption, trigger) == caption


@given(st.lists(WORDS, max_size=6))
def test_parts_are_joined_once_for_all(parts):
    joined = joined_parts(",".join(parts))
    assert joined_parts(joined) == joined
    assert "  " not in joined


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("mio, smile", "mio, smile"),
        ("smile, mio, hat", "mio, smile, hat"),
        ("a girl called mio waves", "a girl called mio waves"),
        ("mioko waves", "mio, mioko waves"),
        ("Mio waves", "mio, Mio waves"),
        ("", "mio"),
    ],
)
def test_a_persons_words_are_kept_and_the_trigger_is_in_them(caption, expected):
    assert with_trigger(caption, "mio") == expected


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a\rb", "a\u2028b", "a\x85b", "a\x00b", "\ud800", "x" * 3000])
def test_what_no_caption_file_can_hold_is_told(text):
    assert fault_of_line(text)
    assert not fault_of_line("one line, two parts")


@pytest.mark.parametrize(
    "template",
    [
        "",
        "  ",
        "a\nb",
        "{hair}",
        "{",
        "{trigger} {}",
        3,
        "a photo of {trigger} standing",
        "{trigger} {tags}",
        "{class_word}{trigger}, x",
        "{tags}, {trigger}.",
        "{trigger}, {tags:d}",
        "{trigger}, {tags!z}",
        "{trigger}, {tags:{x}}",
    ],
)
def test_templates_that_do_not_fit_are_refused(template):
    with pytest.raises(ValueError, match="template"):
        check_template(template)
    with pytest.raises(ValueError, match="template"):
        CaptionSettings(template=template)


def test_every_place_of_a_template_can_be_named():
    check_template(", ".join(f"{{{place}}}" for place in PLACES))
    for template in (" {trigger} ", "{tags} ,{trigger}", "{class_word}, {trigger} , {tags}"):
        check_template(template)
    with pytest.raises(ValueError, match="write it as a part of its own"):
        check_template("a photo of {trigger}")
    with pytest.raises(ValueError, match="unknown group hat; known: hair"):
        CaptionSettings(prune=("hat",))
