"""Train and val: as the set says, else whole titles; pages of one title share scenes, faces and hand, so that val would
be too easy were they split at random.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from lora_assets.annotations.records import SPLITS, TRAIN, VAL

VAL_SHARE = 0.2
_ALIASES = {"training": TRAIN, "validation": VAL, "valid": VAL, "dev": VAL}
_TITLE_KEYS = ("title", "book", "series")
_SEPARATORS = " \t_-."
_PAGE_WORDS = ("page", "pg", "p")
_WORD = re.compile(r"[^\W\d_]+")
_COUNTED = frozenset(
    {
        *("p", "pg", "page", "pages", "c", "ch", "chap", "chapter", "chapters", "v", "vol", "volume", "volumes"),
        *("ep", "episode", "no", "第", "話", "话", "回", "章", "巻", "卷", "頁", "页", "ページ"),
    }
)
"""Words that say what a number counts: a name of nothing else names no work."""


@dataclass(frozen=True, slots=True)
class PageToSplit:
    """A page, the title that it belongs to, and the split that the file gives it ("" for none)."""

    id: int
    title: str
    split: str


def told_split(value: str) -> str:
    """ "train" or "val" for what a file says, "" for anything else."""
    plain = value.strip().lower()
    return plain if plain in SPLITS else _ALIASES.get(plain, "")


def split_of_folder(file_name: str) -> str:
    """The split that a path names by a folder train or val; "" for none."""
    return next((told for part in PurePosixPath(file_name).parts[:-1] if (told := told_split(part))), "")


def title_of(image: Mapping[str, object], file_name: str) -> str:
    """The work that a page belongs to: what the file says, else its folder, else its name without the page's number.

    "" for a page that is only numbered: all such pages of a set count as one title, since they may be of one book.
    """
    for key in _TITLE_KEYS:
        value = image.get(key)
        told = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if told:
            return told
    path = PurePosixPath(file_name)
    folders = [part for part in path.parts[:-1] if part not in ("images", ".", "/") and not told_split(part)]
    own = _without_page(path.stem)
    named = [*reversed(folders), own]
    for name in named:
        if not _only_counts(name):
            return name
    return next((part for part in folders if not _WORD.search(part)), "")  # 07/003.png: books may be numbered


def _without_page(stem: str) -> str:
    """A name without the number of a page at its end; without a regular expression, whose steps could be cubic."""
    end = len(stem) - (stem[-1:].isascii() and stem[-1:].isalpha() and stem[-2:-1].isdecimal())
    start = end
    while start and stem[start - 1].isdecimal():
        start -= 1
    if start == end:
        return stem
    rest = stem[:start].rstrip(_SEPARATORS)
    for word in _PAGE_WORDS:
        before = rest[: -len(word)]
        if rest.lower().endswith(word) and not before[-1:].isalpha():
            return before.rstrip(_SEPARATORS)
    return rest


def _only_counts(name: str) -> bool:
    """True for a name that holds numbers and what they count, or nothing."""
    words = _WORD.findall(name.lower())
    return all(word in _COUNTED for word in words) and (bool(words) or not name or any(c.isdecimal() for c in name))


def split_pages(pages: Sequence[PageToSplit]) -> dict[int, str]:
    """The split of every page by id.

    A page without a split follows the told ones of its title (train where they differ). Titles without any go to val
    until it has a fifth of all pages, in the order of a hash, so that the same titles give the same split on every
    machine; the last title that train has stays there.
    """
    told: dict[str, set[str]] = {}
    for page in pages:
        if page.split:
            told.setdefault(page.title, set()).add(page.split)
    of_title = {title: VAL if splits == {VAL} else TRAIN for title, splits in told.items()}
    counts = Counter(page.title for page in pages)
    open_titles = sorted(
        (title for title in counts if title not in of_title), key=lambda t: hashlib.sha256(t.encode()).digest()
    )
    in_val = sum(1 for page in pages if (page.split or of_title.get(page.title)) == VAL)
    has_train = any((page.split or of_title.get(page.title)) == TRAIN for page in pages)
    for place, title in enumerate(open_titles):
        last = place == len(open_titles) - 1 and not has_train
        to_val = not last and in_val < VAL_SHARE * len(pages)
        of_title[title] = VAL if to_val else TRAIN
        in_val += counts[title] if to_val else 0
        has_train = has_train or not to_val
    return {page.id: page.split or of_title[page.title] for page in pages}
