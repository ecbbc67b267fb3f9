from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from lora_assets.models import ModelError
from lora_assets.vision.tagger import FLOOR, as_tagger_input, load_tagger, read_tag_list

SIDE = 448
SCALE = 0.9 / 255
NEAR = 5e-3  # onnxruntime sums 200,000 pixels in single precision
TAGS = (("general", 9), ("blue_channel", 0), ("green_channel", 0), ("red_channel", 0), ("mio_(film)", 4), ("odd", 3))


def tag_list(path: Path, tags=TAGS) -> Path:
    rows = [f'{number},"{name}",{category},{1000 - number}' for number, (name, category) in enumerate(tags)]
    path.write_text("tag_id,name,category,count\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def tiny_tagger(path: Path, batch: int | str = "batch", scale: float = SCALE, side: int = SIDE, tags: int = 6) -> Path:
    """A WD tagger's signature; its scores are the mean of the channels in the order fed: B, B, G, R, R, 0."""
    weights = np.zeros((3, tags), np.float32)
    for column, channel in enumerate((0, 0, 1, 2, 2)[:tags]):
        weights[channel, column] = scale
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, side, side, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, tags])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save(model, path)
    return path


def flat(colour: tuple[int, int, int], height: int = 40, width: int = 40) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_channels_are_fed_as_bgr_and_tags_come_surest_first(tmp_path):
    ask = load_tagger(tiny_tagger(tmp_path / "m.onnx"), tag_list(tmp_path / "t.csv"))
    (found,) = ask([flat((255, 102, 51))])
    named = {tag.name: tag.score for tag in found}
    assert named["blue_channel"] == pytest.approx(51 * SCALE, abs=NEAR)
    assert named["green_channel"] == pytest.approx(102 * SCALE, abs=NEAR)
    assert named["red_channel"] == pytest.approx(0.9, abs=NEAR)
    assert {tag.name: tag.category for tag in found} == {
        "red_channel": "general", "mio_(film)": "character", "green_channel": "general", "general": "rating",
        "blue_channel": "general",
    }  # fmt: skip
    assert [tag.score for tag in found] == sorted((tag.score for tag in found), reverse=True)
    assert all(tag.score >= FLOOR for tag in found)


@pytest.mark.parametrize(("height", "width"), [(100, 50), (50, 100), (448, 448), (900, 30), (1, 1)])
def test_pictures_are_centred_on_a_white_square(height, width):
    pixels = as_tagger_input(flat((10, 20, 30), height, width), SIDE)
    assert (pixels.shape, pixels.dtype) == ((SIDE, SIDE, 3), np.float32)
    assert pixels[SIDE // 2, SIDE // 2].tolist() == [30.0, 20.0, 10.0]
    share = height * width / max(height, width) ** 2
    dark = float((pixels[..., 0] < 140).mean())
    assert dark == pytest.approx(share, abs=0.02)
    if width < height:
        assert pixels[SIDE // 2, 0].tolist() == [255.0, 255.0, 255.0]


def test_a_fixed_batch_is_filled_up_and_the_rest_left_out(tmp_path):
    ask = load_tagger(tiny_tagger(tmp_path / "m.onnx", batch=2), tag_list(tmp_path / "t.csv"))
    levels = [200, 100, 50]
    found = ask([flat((0, level, 0), 30, 30) for level in levels])
    green = [next(tag.score for tag in tags if tag.name == "green_channel") for tags in found]
    assert green == pytest.approx([level * SCALE for level in levels], abs=NEAR)
    assert ask([]) == []


def test_a_picture_is_tagged_alike_alone_and_among_others(tmp_path):
    ask = load_tagger(tiny_tagger(tmp_path / "m.onnx"), tag_list(tmp_path / "t.csv"))
    rng = np.random.default_rng(1)
    pictures = [cv2.blur(rng.integers(0, 255, (size, 60, 3), np.uint8), (9, 9)) for size in (30, 90, 61)]
    for together, alone in zip(ask(pictures), (ask([picture])[0] for picture in pictures), strict=True):
        assert [tag.name for tag in together] == [tag.name for tag in alone]
        assert [tag.score for tag in together] == pytest.approx([tag.score for tag in alone], abs=NEAR)


def test_what_is_no_tagger_is_refused_with_the_reason(tmp_path):
    tags = tag_list(tmp_path / "t.csv")
    with pytest.raises(ModelError, match="fetch it with"):
        load_tagger(tmp_path / "gone.onnx", tags)
    with pytest.raises(ModelError, match=r"6 scores, but .* names 2 tags"):
        load_tagger(tiny_tagger(tmp_path / "m.onnx"), tag_list(tmp_path / "few.csv", TAGS[:2]))
    with pytest.raises(ModelError, match="without its last sigmoid"):
        load_tagger(tiny_tagger(tmp_path / "raw.onnx", scale=1.0), tags)([flat((255, 255, 255))])
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ModelError, match="no list of tags"):
        read_tag_list(tmp_path / "bad.csv")
    (tmp_path / "empty.csv").write_text("tag_id,name,category,count\n")
    with pytest.raises(ModelError, match="names no tags"):
        read_tag_list(tmp_path / "empty.csv")
