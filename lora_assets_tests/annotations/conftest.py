from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lora_assets.annotations.mask_forms import mask_file_bytes, polygons_of
from lora_assets.annotations.sample import write_sample
from lora_assets.vision.masks import encode_mask

WIDTH, HEIGHT = 48, 40


def block(x: int, y: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + height, x : x + width] = True
    return mask


def compressed_rle(mask: np.ndarray) -> dict[str, Any]:
    """A mask as COCO's compressed run lengths, as JSON holds them."""
    return {"size": list(mask.shape), "counts": encode_mask(mask).decode("ascii")}


@pytest.fixture
def plain(tmp_path: Path) -> Callable[..., Path]:
    """Writes a sound set of two titles with a page each, three forms of masks, after `change` has been at its JSON."""

    def write(change: Callable[[dict[str, Any], Path], None] = lambda told, root: None) -> Path:
        root = tmp_path / "plain"
        for split in ("train", "val"):
            (root / "images" / split).mkdir(parents=True)
            (root / "masks" / split).mkdir(parents=True)
        images, annotations = [], []
        for number, split in ((1, "train"), (2, "val")):
            name = f"page_{number}.png"
            rng = np.random.default_rng(number)
            Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(root / "images" / split / name)
            images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, "split": split,
                           "title": f"work {number}"})  # fmt: skip
            panel, bubble, text = block(2, 2, 40, 30), block(6, 5, 12, 10), block(8, 8, 6, 4)
            mask_name = f"{number:012d}_{10 * number + 3:012d}.png"
            (root / "masks" / split / mask_name).write_bytes(mask_file_bytes(text))
            forms: list[dict[str, Any]] = [
                {"segmentation": polygons_of(panel)},
                {"segmentation": compressed_rle(bubble)},
                {"segmentation_file": f"masks/{split}/{mask_name}"},
            ]
            boxes = ([2, 2, 40, 30], [6, 5, 12, 10], [8, 8, 6, 4])
            for place, (form, box, category) in enumerate(zip(forms, boxes, (1, 2, 4), strict=True), start=1):
                annotations.append({"id": 10 * number + place, "image_id": number, "category_id": category,
                                    "bbox": box, "area": box[2] * box[3], "iscrowd": 0, **form})  # fmt: skip
        categories = [{"id": 1, "name": "panel"}, {"id": 2, "name": "bubble"}, {"id": 4, "name": "text"}]
        told = {"images": images, "annotations": annotations, "categories": categories}
        change(told, root)
        (root / "annotations.json").write_text(json.dumps(told))
        return root

    return write


@pytest.fixture(scope="session")
def drawn_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small drawn pages with mask files."""
    root = tmp_path_factory.mktemp("drawn") / "set"
    write_sample(root, 6, 41, size=(288, 400))
    return root
