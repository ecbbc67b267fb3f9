from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.annotations.categories import CATEGORIES, Category, known_category, map_categories
from lora_assets.annotations.splits import VAL_SHARE, PageToSplit, split_of_folder, split_pages, title_of

titles = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["", "", "", "train", "val"])), max_size=40)


def _pages(drawn: list[tuple[str, str]]) -> list[PageToSplit]:
    return [PageToSplit(number, title, split) for number, (title, split) in enumerate(drawn)]


@given(titles)
def test_what_is_told_is_kept_and_open_titles_stay_whole(drawn):
    pages = _pages(drawn)
    splits = split_pages(pages)
    assert set(splits) == {page.id for page in pages}
    for page in pages:
        if page.split:
            assert splits[page.id] == page.split
    told = {page.title for page in pages if page.split}
    for title in {page.title for page in pages} - told:
        assert len({splits[page.id] for page in pages if page.title == title}) == 1


@given(titles, st.randoms())
def test_the_order_of_pages_does_not_matter(drawn, random):
    pages = _pages(drawn)
    shuffled = pages[:]
    random.shuffle(shuffled)
    assert split_pages(pages) == split_pages(shuffled)


@given(st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=60))
def test_train_never_runs_empty_and_val_gets_about_a_fifth(names):
    splits = split_pages(_pages([(name, "") for name in names]))
    assert "train" in splits.values()
    in_val = sum(split == "val" for split in splits.values())
    if len(set(names)) > 1:
        largest = max(names.count(name) for name in names)
        assert 0 < in_val <= VAL_SHARE * len(names) + largest
    else:
        assert in_val == 0


@pytest.mark.parametrize(
    ("file_name", "title"),
    [
        ("AisazuNihaIrarenai/003.jpg", "AisazuNihaIrarenai"),  # as in Manga109
        ("images/train/Belmondo_012.png", "Belmondo"),
        ("images/val/Belmondo-p3.png", "Belmondo"),
        ("Book Two page 17.webp", "Book Two"),
        ("017.png", ""),  # nothing but a number names no work: all such pages are of one title
        ("page_001.png", ""),
        ("images/train/012-013.png", ""),
        ("ch02/p003b.png", ""),
        ("第3話/012.jpg", ""),
        ("Berserk/vol 01/003.png", "Berserk"),
        ("07/003.png", "07"),
        ("loop3.png", "loop"),
        ("_" * 4000 + "x.png", "_" * 4000 + "x"),
        ("_" * 4000 + "7.png", ""),
        ("images/ARMS/001.jpg", "ARMS"),
    ],
)
def test_a_title_is_read_from_the_file_name(file_name, title):
    assert title_of({}, file_name) == title


def test_a_told_title_comes_first():
    assert title_of({"book": " Nausea "}, "x/1.png") == "Nausea"
    assert title_of({"series": 12}, "x/1.png") == "12"
    assert title_of({"series": True}, "x/1.png") == "x"
    assert split_of_folder("images/val/x.png") == "val"
    assert split_of_folder("val.png") == ""


def test_manga109_and_mangaseg_names_become_ours():
    named = [(0, "frame"), (1, "text"), (2, "onomatopoeia"), (3, "face"), (4, "body"), (5, "balloon")]
    categories, becomes = map_categories(named)
    assert categories == CATEGORIES
    assert becomes == {0: 1, 1: 4, 2: 4, 3: None, 4: 3, 5: 2}  # a face is a part of its body
    assert map_categories([(7, "Faces")])[1] == {7: 3}  # without bodies faces are the characters
    for body, face in (("bodies", "Faces"), ("Characters", "face"), ("PERSONS", " faces "), ("body", "Face")):
        assert map_categories([(1, body), (2, face)])[1] == {1: 3, 2: None}
    assert known_category("Speech-Bubbles") == CATEGORIES[1]


@given(
    st.dictionaries(st.integers(0, 12), st.sampled_from(["panel", "frame", "Miko", "cat", "text", "dog"]), max_size=8)
)
def test_names_of_ones_own_keep_an_id_that_is_free(named):
    categories, becomes = map_categories(named.items())
    assert set(becomes) == set(named)
    ids = [category.id for category in categories]
    assert len(ids) == len(set(ids)) and len({category.name for category in categories}) == len(ids)
    for number, name in named.items():
        got = becomes[number]
        assert got is not None
        assert (known_category(name) or Category(got, name)) in categories
        assert known_category(name) is None or got == known_category(name).id  # pyright: ignore
