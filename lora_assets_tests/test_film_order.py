from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lora_assets.film_order import film_order


def test_numbers_count_by_their_value():
    paths = [
        "b/1.png",
        "a/f10.png",
        "a/f9.png",
        "a/f09.png",
        "a/f1 2.png",
        "a/f1.png",
        "a/x.png",
        "2.png",
        "第2話/1.png",
    ]
    assert sorted(paths, key=film_order) == [
        "2.png", "a/f1 2.png", "a/f1.png", "a/f09.png", "a/f9.png", "a/f10.png", "a/x.png", "b/1.png", "第2話/1.png"
    ]  # fmt: skip


@given(st.lists(st.text("a09/é٣", max_size=8), max_size=8))
def test_different_paths_have_different_keys(paths: list[str]):
    assert len({film_order(path) for path in paths}) == len(set(paths))
