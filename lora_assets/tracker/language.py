"""Labels of the pages in English, Japanese and Traditional Chinese, and which of them a visitor gets.

The words lie in `labels/*.toml`, one file a language with the same keys. Where a label stands on a page is not here.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LANGUAGES = {"en": "English", "ja": "日本語", "zh-TW": "繁體中文"}
DEFAULT = "en"


class LabelError(KeyError):
    """A page asks for a label that the labels do not have."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The words of one language; `labels("key")` gives the text, with `{}` places filled by name."""

    code: str
    words: dict[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key. Raises LabelError for an unknown key."""
        if key not in self.words:
            raise LabelError(f"label {key} is missing in labels/{self.code}.toml")
        return self.words[key].format(**values) if values else self.words[key]

    def named(self, group: str, name: str) -> str:
        """The word for a value that stages made (a flag, a tier); its own name, made readable, when there is none."""
        return self.words.get(f"{group}.{name}", name.replace("_", " "))

    def group(self, name: str) -> dict[str, str]:
        """The words of a group by their keys without its name, for scripts."""
        return {key[len(name) + 1 :]: text for key, text in self.words.items() if key.startswith(f"{name}.")}


@cache
def read_labels(code: str) -> Labels:
    """The labels of one of LANGUAGES."""
    text = (files("lora_assets.tracker") / "labels" / f"{code}.toml").read_text(encoding="utf-8")
    return Labels(code, {key: str(value) for key, value in _flat(tomllib.loads(text)).items()})


def _flat(table: dict[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def choose_language(asked: str, remembered: str, accept_language: str) -> str:
    """The language of a visit: the switch first, then the cookie, then the browser's wish, then English."""
    for code in (asked, remembered):
        if code in LANGUAGES:
            return code
    for code in _wishes(accept_language):
        if code.startswith("zh"):
            return "zh-TW"
        if code[:2] in ("ja", "en"):
            return code[:2]
    return DEFAULT


def _wishes(accept_language: str) -> list[str]:
    """Language tags of an Accept-Language header, the most wanted first (RFC 9110, section 12.5.4)."""
    wishes: list[tuple[float, str]] = []
    for part in accept_language[:500].split(","):
        tag, _, quality = part.partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        if tag.strip() and weight > 0:
            wishes.append((weight, tag.strip().lower()))
    return [tag for _, tag in sorted(wishes, key=lambda wish: -wish[0])]
