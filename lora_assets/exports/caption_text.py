"""One line of caption from a template, tags and facts: the trigger first, no part twice, never a line break."""

from __future__ import annotations

import fnmatch
import re
import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lora_assets.exports.tag_lists import PRUNE_GROUPS, SMILEYS
from lora_assets.specs import SpecError

PLACES = ("trigger", "class_word", "tags", "framing", "view", "expression", "dataset", "character", "tier")
"""What a template may name in braces."""

GENERAL, CHARACTER = "general", "character"
MOST_LETTERS = 2_000


class CaptionError(SpecError):
    """A caption that cannot be used; the text says whose it is, why and the way out."""


@dataclass(frozen=True, slots=True)
class ChosenTags:
    """The tags of a caption as they are written there, with their scores, and those that were pruned."""

    tags: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    pruned: tuple[str, ...] = ()


def check_template(template: object) -> None:
    """Raise ValueError for a template that is no text on one line, names an unknown place, or has the trigger inside a
    sentence: trainers pin the first part between commas (keep_tokens), which is then the trigger alone."""
    if not isinstance(template, str) or not template.strip() or fault_of_line(template):
        raise ValueError(f"template must be a text on one line, not {template!r}")
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"template {template!r}: {error}; write {{{{ for a brace of its own") from error
    fields = [(text, name) for text, name, _, _ in parsed]
    if unknown := sorted({name for _, name in fields if name is not None} - set(PLACES)):
        raise ValueError(f"template names {', '.join(unknown) or 'an empty place'}; known: {', '.join(PLACES)}")
    if told := [name for _, name, format_, conversion in parsed if format_ or conversion]:
        raise ValueError(f"template {template!r} says how {told[0]} is to be formatted: write {{{told[0]}}} alone")
    if any(name == "trigger" and not _stands_alone(fields, index) for index, (_, name) in enumerate(fields)):
        raise ValueError(
            f"template {template!r} has {{trigger}} inside a sentence, and trainers keep the first part in its place: "
            "write it as a part of its own, such as '{trigger}, a photo of a {class_word}, {tags}'"
        )


def _stands_alone(fields: Sequence[tuple[str, str | None]], index: int) -> bool:
    """True when a place of a template has nothing beside it up to the commas. fields: the text before each place."""
    before = fields[index][0].rstrip()
    after, following = fields[index + 1] if index + 1 < len(fields) else ("", None)
    begins = before.endswith(",") or (not before and index == 0)
    return begins and (after.lstrip().startswith(",") or (not after.strip() and following is None))


def fault_of_line(text: str) -> str:
    """Why a text cannot be a caption, in words; "" when it can.

    Trainers differ about a second line: sd-scripts reads the first only, OneTrainer takes each for another caption.
    """
    if not text.strip():
        return "it is empty"
    if len(text) > MOST_LETTERS:
        return f"it has {len(text)} characters, the most is {MOST_LETTERS}"
    if len(text.splitlines()) > 1 or any(mark in text for mark in "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"):
        return "it holds a line break, and trainers disagree about a second line: write it on one line"
    for letter in text:
        kind = unicodedata.category(letter)
        if kind in ("Cc", "Cs") and letter != "\t":
            return f"it holds a character that no caption file can (U+{ord(letter):04X})"
    return ""


def choose_tags(
    tags: Sequence[str],
    categories: Sequence[str],
    scores: Sequence[float],
    *,
    general_threshold: float,
    character_threshold: float,
    prune: Iterable[str],
    also: Iterable[str] = (),
    keep: Iterable[str] = (),
    spaces: bool = True,
    escape_brackets: bool = False,
    most: int = 40,
) -> ChosenTags:
    """The tags of a caption, surest first: general ones and characters above their thresholds, less what is pruned.

    Ratings are never part of a caption. `prune` are groups of tag_lists.PRUNE_GROUPS; `also` and `keep` are patterns.
    """
    patterns = [pattern for group in prune for pattern in PRUNE_GROUPS[group]] + [_plain(one) for one in also]
    kept_patterns = [_plain(one) for one in keep]
    limits = {GENERAL: general_threshold, CHARACTER: character_threshold}
    found: list[tuple[str, float]] = []
    pruned: list[str] = []
    order = sorted(range(len(tags)), key=lambda index: (-scores[index], index))
    for index in order:
        name, category, score = tags[index], categories[index], scores[index]
        if category not in limits or score < limits[category]:
            continue
        plain = _plain(name)
        by_category = category == CHARACTER and "<character>" in patterns
        if (by_category or _matches(plain, patterns)) and not _matches(plain, kept_patterns):
            pruned.append(name)
        else:
            found.append((written_tag(name, spaces=spaces, escape_brackets=escape_brackets), score))
    found = found[:most]
    return ChosenTags(tuple(name for name, _ in found), tuple(score for _, score in found), tuple(pruned))


def written_tag(name: str, *, spaces: bool = True, escape_brackets: bool = False) -> str:
    """A tag as captions have it: underscores as spaces (but not in smileys), brackets escaped where asked for."""
    text = name if name in SMILEYS or not spaces else name.replace("_", " ")
    # A comma inside a tag would part it in every trainer that splits captions at commas.
    text = text.replace(",", " ")
    return text.replace("(", "\\(").replace(")", "\\)") if escape_brackets else text


def _plain(name: str) -> str:
    return name if name in SMILEYS else name.replace("_", " ").lower()


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def render_caption(template: str, values: Mapping[str, str], trigger: str) -> str:
    """The caption of a template: parts between commas, empty ones and those that came before left out, the trigger
    first. May be empty when everything in it is."""
    text = template.format_map({place: values.get(place, "") for place in PLACES} | {"trigger": trigger})
    return _trigger_first(joined_parts(text), trigger)


def joined_parts(text: str) -> str:
    """The parts of a text between commas, each once, without needless blanks."""
    parts = [" ".join(part.split()) for part in text.split(",")]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def with_trigger(caption: str, trigger: str) -> str:
    """A person's caption with the trigger: it is moved to the front where it is a part of its own, and put there
    where it is missing. A caption that names it inside a sentence is left as it is."""
    parts = [part.strip() for part in caption.split(",")]
    if trigger and trigger not in parts and re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", caption):
        return caption
    return _trigger_first(caption, trigger)


def _trigger_first(caption: str, trigger: str) -> str:
    """A caption whose first part is the trigger, which is no other part of it."""
    if not trigger:
        return caption
    parts = [part.strip() for part in caption.split(",")]
    if parts[0] == trigger:
        return caption
    if trigger in parts:
        return ", ".join([trigger, *(part for part in parts if part and part != trigger)])
    return f"{trigger}, {caption}" if caption else trigger
