"""Names of categories: ours (panel, bubble, character, text), and those of other sets that mean the same.

Manga109 (Matsui et al. 2017, Aizawa et al. 2020) names frame, text, face and body; MangaSeg (Xie et al. 2025,
"Advancing Manga Analysis") adds balloon and onomatopoeia; others say speech bubble, koma, fukidashi.
"""

from __future__ import annotations

from collections.abc import Iterable

from lora_assets.annotations.records import Category

PANEL, BUBBLE, CHARACTER, TEXT = (
    Category(1, "panel"),
    Category(2, "bubble"),
    Category(3, "character"),
    Category(4, "text"),
)
CATEGORIES = (PANEL, BUBBLE, CHARACTER, TEXT)

SYNONYMS: dict[str, Category] = {
    "panel": PANEL,
    "frame": PANEL,
    "koma": PANEL,
    "comic_panel": PANEL,
    "bubble": BUBBLE,
    "balloon": BUBBLE,
    "speech_bubble": BUBBLE,
    "speech_balloon": BUBBLE,
    "text_bubble": BUBBLE,
    "dialog_bubble": BUBBLE,
    "fukidashi": BUBBLE,
    "character": CHARACTER,
    "body": CHARACTER,
    "person": CHARACTER,
    "face": CHARACTER,
    "text": TEXT,
    "text_line": TEXT,
    "onomatopoeia": TEXT,
    "sound_effect": TEXT,
    "sfx": TEXT,
}
PART, WHOLE = "face", ("body", "character", "person")
"""A face is a character only in sets that annotate no bodies: beside a body it is a part of the same character."""


def known_category(name: str) -> Category | None:
    """The category that a name means, whatever its case, spaces and plural; None for a name of one's own."""
    return SYNONYMS.get(_known_word(name))


def _known_word(name: str) -> str:
    """The synonym that a name is, whatever its case, spaces and plural; "" for a name of one's own."""
    plain = "_".join(name.strip().lower().replace("-", " ").replace("_", " ").split())
    forms = (plain, plain.removesuffix("s"), plain.removesuffix("es"), plain.removesuffix("ies") + "y")
    return next((word for word in forms if word in SYNONYMS), "")


def map_categories(named: Iterable[tuple[int, str]]) -> tuple[tuple[Category, ...], dict[int, int | None]]:
    """Our categories for those of a file (id, name), and which id each of theirs becomes (None: left out).

    Known names get ours with their ids, names of one's own keep theirs, or the next free id where it is taken.
    """
    own = list(named)
    words = {_known_word(name) for _, name in own}
    found: dict[int, Category] = {}
    becomes: dict[int, int | None] = {}
    unknown: list[tuple[int, str]] = []
    for number, name in own:
        known = known_category(name)
        if known is None:
            unknown.append((number, name))
        elif _known_word(name) == PART and words & set(WHOLE):
            becomes[number] = None
        else:
            found[known.id] = known
            becomes[number] = known.id
    reserved = {category.id for category in CATEGORIES}
    for number, name in unknown:
        same = next((category.id for category in found.values() if category.name == name), None)
        if same is None:
            taken = reserved | set(found)
            same = number if number not in taken else max(taken) + 1
            found[same] = Category(same, name)
        becomes[number] = same
    return tuple(found[number] for number in sorted(found)), becomes
