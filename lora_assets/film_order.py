"""The order in which the frames of a film stand: by path, with numbers by their value, as a person reads them."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"([0-9]+)")


def film_order(path: str) -> tuple[tuple[int, int, str], ...]:
    """A path as a key that puts frame 9 before frame 10; different paths have different keys."""
    # Every second part of the split is digits.
    parts = enumerate(_DIGITS.split(path))
    return tuple((0, int(text), text) if place % 2 else (1, 0, text) for place, text in parts if text)
