from __future__ import annotations

import io
import json
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools.coco import COCO

from lora_assets.annotations.mask_forms import mask_file_bytes, mask_of_file, polygons_of
from lora_assets.vision.coco_masks import MaskFormError, mask_of_segmentation
from lora_assets_tests.annotations.conftest import compressed_rle

sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))
masks = sizes.flatmap(lambda size: arrays.arrays(np.bool_, size))


def plain_counts(mask: np.ndarray) -> list[int]:
    flat = mask.reshape(-1, order="F")
    edges = [0, *(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), flat.size]
    return [*([0] if flat[0] else []), *np.diff(edges).tolist()]


@given(masks)
def test_run_lengths_of_both_kinds_give_the_mask_again(mask):
    for segmentation in (compressed_rle(mask), {"size": list(mask.shape), "counts": plain_counts(mask)}):
        again = mask_of_segmentation(json.loads(json.dumps(segmentation)), *mask.shape)
        assert (again == mask).all()


@given(masks.filter(lambda mask: bool(mask.any())))
def test_polygons_give_the_mask_again_with_its_holes(mask):
    assert (mask_of_segmentation(polygons_of(mask), *mask.shape) == mask).all()


@given(masks)
def test_a_mask_file_gives_the_mask_again(mask):
    assert (mask_of_file(mask_file_bytes(mask)) == mask).all()


@given(masks.filter(lambda mask: bool(mask.any())))
def test_every_form_means_the_same_to_pycocotools(mask):
    coco = COCO()
    height, width = mask.shape
    forms = [polygons_of(mask), compressed_rle(mask), {"size": [height, width], "counts": plain_counts(mask)}]
    coco.imgs = {1: {"id": 1, "height": height, "width": width}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' decode under NumPy 2
        for form in forms:
            theirs = coco.annToMask({"image_id": 1, "segmentation": form})
            assert (theirs.astype(bool) == mask_of_segmentation(form, height, width)).all()


def _file(levels: np.ndarray, format_name: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, format_name, **options)
    return stream.getvalue()


def _disc(side: int = 96) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2
    return np.hypot(x, y) < side / 3


@pytest.mark.parametrize("labels", [(0, 1, 2, 3), (0, 128, 255), (0, 1, 20), (10, 60, 200)])
def test_a_file_of_labels_is_refused_with_the_reason(labels):
    levels = np.zeros((40, 40), np.uint8)
    for place, label in enumerate(labels):
        levels[10 * place : 10 * place + 10] = label
    levels[30:, 20:] = labels[0]
    with pytest.raises(MaskFormError, match="one file for each thing") as refused:
        mask_of_file(_file(levels))
    assert refused.value.kind == "mask_file_unclear"


def test_labels_in_colours_are_refused():
    colours = np.zeros((40, 40, 3), np.uint8)
    colours[:12, :, 0], colours[20:32, :, 1] = 255, 255
    with pytest.raises(MaskFormError, match="3 plain tones"):
        mask_of_file(_file(colours))


def test_soft_edges_and_lossy_files_are_masks_all_the_same():
    wanted = _disc()
    soft = cv2.GaussianBlur(wanted.astype(np.uint8) * np.uint8(255), (0, 0), 2.0)
    jpeg = _file(wanted.astype(np.uint8) * np.uint8(255), "JPEG", quality=60)
    with_noise = np.asarray(Image.open(io.BytesIO(jpeg)))
    for content in (_file(np.asarray(soft)), jpeg, _file(with_noise)):
        assert np.mean(mask_of_file(content) != wanted) < 0.02


def test_a_mask_in_transparency_is_read_or_refused_with_the_reason():
    wanted = _disc()
    layers = np.zeros((96, 96, 4), np.uint8)
    layers[..., 3] = wanted * 255
    for colour in (0, 255):
        layers[..., :3] = colour
        assert (mask_of_file(_file(layers)) == wanted).all()
    layers[..., :3] = np.where(wanted, 255, 0)[..., None]  # colour and transparency say the same
    assert (mask_of_file(_file(layers)) == wanted).all()
    for opaque in (255, 90):
        layers[..., 3] = opaque
        assert (mask_of_file(_file(layers)) == wanted).all()
    layers[:, 48:, 3] = 0
    with pytest.raises(MaskFormError, match="without transparency"):
        mask_of_file(_file(layers))
    palette = Image.fromarray(np.where(wanted, 1, 0).astype(np.uint8)).convert("P")
    stream = io.BytesIO()
    palette.save(stream, "PNG", transparency=0)
    assert (mask_of_file(stream.getvalue()) == wanted).all()


def test_a_mask_file_of_zeros_and_ones_is_read_as_one_of_0_and_255():
    levels = np.zeros((8, 9), np.uint8)
    levels[2:5, 3:7] = 1
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, "PNG")
    assert (mask_of_file(stream.getvalue()) == (levels > 0)).all()


@pytest.mark.parametrize(
    ("segmentation", "kind"),
    [
        ("no", "bad_segmentation"),  # neither polygons nor run lengths
        (None, "bad_segmentation"),
        ([], "empty_annotation"),
        ([[1, 1, 5, 5]], "bad_segmentation"),  # two corners
        ([[1, 1, 5, 5, 3]], "bad_segmentation"),  # half a corner
        ([[1, 1, 5, 5, 3, float("nan")]], "bad_segmentation"),
        ([["1", 1, 5, 5, 3, 3]], "bad_segmentation"),
        ([[1, 1, 1e9, 5, 3, 3]], "outside_picture"),  # pycocotools would walk a billion pixels
        ([[1, 1, 10**400, 5, 3, 3]], "bad_segmentation"),  # no float holds it
        ([[1, 1, float("inf"), 5, 3, 3]], "bad_segmentation"),
        ({"size": [8, 9], "counts": [10**4299] * 11}, "bad_segmentation"),
        ({"size": [10**400, 9], "counts": [72]}, "bad_segmentation"),
        ({"size": [10, 10], "counts": [100]}, "mask_size"),
        ({"size": [8, 9], "counts": [70]}, "mask_size"),
        ({"size": [8, 9], "counts": [-1, 73]}, "bad_segmentation"),
        ({"size": [8, 9], "counts": [True, 71]}, "bad_segmentation"),
        ({"size": [8], "counts": [72]}, "bad_segmentation"),
        ({"size": [8, 9], "counts": "\u00e9"}, "bad_segmentation"),
        ({"size": [8, 9], "counts": ""}, "bad_segmentation"),
        ({"size": [8, 9], "counts": "PPPPPPPPPPPPPPPPPPP"}, "bad_segmentation"),  # a number without an end
        # 63 runs of 2**58 and one of 2**58 + 72: in 64 bits their sum is 72
        ({"size": [8, 9], "counts": 3 * "PPPPPPPPPPP8" + 60 * "0" + "X2"}, "bad_segmentation"),
        ({"counts": [72]}, "bad_segmentation"),
    ],
)
def test_what_is_no_mask_is_refused_by_kind(segmentation, kind):
    with pytest.raises(MaskFormError) as refused:
        mask_of_segmentation(segmentation, 8, 9)
    assert refused.value.kind == kind


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_no_text_of_counts_breaks_the_reader(counts):
    try:
        mask = mask_of_segmentation({"size": [8, 9], "counts": counts}, 8, 9)
    except MaskFormError as refused:
        assert str(refused)
    else:
        assert mask.shape == (8, 9)


def test_compressed_run_lengths_that_fit_only_modulo_2_to_the_64_are_refused():
    """Repeating by such counts would end the process."""
    big = 1 << 58
    # Each run after the third is told as the difference to the one two before: 0 ("0"), at last 72 ("X2").
    counts = _told(big) * 3 + "0" * 60 + "X2"
    with pytest.raises(MaskFormError, match="do not fill"):
        mask_of_segmentation({"size": [8, 9], "counts": counts}, 8, 9)


def _told(number: int) -> str:
    """A number as COCO's compressed run lengths write it: five bits at a time, the lowest first."""
    text = ""
    while number >= 16:
        text += chr((number & 31 | 32) + 48)
        number >>= 5
    return text + chr(number + 48)


def test_one_polygon_without_the_outer_list_is_taken_as_one():
    flat = [1, 1, 5, 1, 5, 4, 1, 4]
    assert (mask_of_segmentation(flat, 8, 9) == mask_of_segmentation([flat], 8, 9)).all()
    assert mask_of_segmentation(flat, 8, 9).sum() == 12
