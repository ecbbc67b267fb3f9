from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools.coco import COCO

from lora_assets.annotations.mask_forms import compressed_rle, mask_file_bytes, mask_of_file, polygons_of
from lora_assets.vision.coco_masks import MaskFormError, mask_of_segmentation

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


def test_a_mask_file_of_zeros_and_ones_is_read_as_one_of_0_and_255():
    import io

    from PIL import Image

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


def test_one_polygon_without_the_outer_list_is_taken_as_one():
    flat = [1, 1, 5, 1, 5, 4, 1, 4]
    assert (mask_of_segmentation(flat, 8, 9) == mask_of_segmentation([flat], 8, 9)).all()
    assert mask_of_segmentation(flat, 8, 9).sum() == 12
