from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lora_assets.mining.drawing import draw_map
from lora_assets.mining.layout import LINE, NONE, TSNE, find_clusters, lay_out, name_clusters
from lora_assets.tables.mining import MapPoint


def _vectors(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middles = 3 * rng.normal(size=(3, 12))
    rows = middles[np.arange(count) % 3] + 0.3 * rng.normal(size=(count, 12))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("count", "method"), [(0, NONE), (1, LINE), (3, LINE), (4, TSNE), (5, TSNE), (12, TSNE)])
def test_any_number_of_objects_has_places(count, method):
    at, how = lay_out(_vectors(count), 30.0, 0)
    assert how == method
    assert at.shape == (count, 2)
    assert ((at >= 0) & (at <= 1)).all()


def test_equal_objects_lie_on_a_line():
    assert lay_out(np.tile(_vectors(1), (20, 1)), 30.0, 0)[1] == LINE


def test_groups_become_clusters_and_the_map_is_the_same_every_time():
    vectors = _vectors(90)
    at, _ = lay_out(vectors, 20.0, 0)
    clusters = find_clusters(at)
    for group in range(3):
        own = clusters[group::3]
        assert (own == np.bincount(own[own >= 0]).argmax()).mean() > 0.9
    np.testing.assert_array_equal(at, lay_out(vectors, 20.0, 0)[0])
    assert set(find_clusters(at[:9])) == {-1}


def test_clusters_are_named_by_what_tells_them_apart():
    labels = ["car"] * 6 + ["car"] * 4 + ["truck"] * 2 + ["dog"]
    captions = ["a red car in snow"] * 6 + [None] * 6 + ["a dog"]
    names = name_clusters([0] * 6 + [1] * 6 + [-1], labels, captions)
    assert names[0].startswith("car: ")
    assert "snow" in names[0]
    assert names[1] == "truck, car"
    same = name_clusters([0] * 3 + [1] * 3, ["car"] * 6, [None] * 6)
    assert same == {0: "car", 1: "car 2"}


def _point(number: int, cluster: int, name: str) -> MapPoint:
    return MapPoint(
        f"{number:016x}", number / 20, (number * 7 % 20) / 20, cluster, name, "街", "f", "d", name or "車", 0.9, name,
        "service", number % 3 == 0, False, [], 0.5, 1.0, None, None, 0.0, 0.0, 9.0, 9.0,
    )  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ja", "zh-TW"])
def test_the_picture_of_the_map_renders_japanese_names(language):
    """A glyph that no font has is a warning, and warnings are errors."""
    points = [_point(n, n % 3 - 1, ["", "建設機械: 黄色", "自転車"][n % 3]) for n in range(20)]
    png = draw_map(points, language, ["省略した処理: 説明文"])
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    assert picture.shape[1] > 600
    assert (picture < 128).mean() > 0.002


def test_an_empty_map_is_a_picture_too():
    assert draw_map([], "ja", ["skip_visualization"])[:4] == b"\x89PNG"
