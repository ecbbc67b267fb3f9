"""A tiny annotated set (dark frames and round bubbles on grey pages) and a tiny SAM 2, for tests of tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lora_assets.annotations import AnnotatedImage, Annotation
from lora_assets.annotations.records import ANNOTATIONS_FILE, TRAIN, VAL, Category
from lora_assets.annotations.writing import write_coco
from lora_assets.finetuning.prompts import mask_box
from lora_assets.finetuning.random_start import small_sam2_config
from lora_assets.vision.masks import encode_mask

PANEL, BUBBLE = "panel", "bubble"
SIZE = (120, 160)


def draw_page(seed: int) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """A page (160,120,3) and its things."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    ys, xs = np.mgrid[:height, :width]
    page = np.full((height, width, 3), 235, np.uint8)
    page += rng.integers(0, 12, page.shape, dtype=np.uint8)
    found = []
    for row in range(2):
        x1, y1 = 6 + int(rng.integers(6)), 6 + row * 78 + int(rng.integers(5))
        x2, y2 = width - 6 - int(rng.integers(20)), y1 + 60 + int(rng.integers(8))
        panel = (xs >= x1) & (xs < x2) & (ys >= y1) & (ys < y2)
        page[panel] = rng.integers(60, 120)
        cx, cy = rng.uniform(x1 + 25, x2 - 25), rng.uniform(y1 + 20, y2 - 20)
        bubble = ((xs - cx) / 18) ** 2 + ((ys - cy) / 13) ** 2 < 1
        page[bubble] = 250
        found += [(PANEL, panel), (BUBBLE, bubble)]
    return page, found


def write_set(root: Path, train: int = 3, val: int = 2, first_seed: int = 0) -> Path:
    """An annotated set in the folder `root`."""
    images, annotations = [], []
    for number in range(train + val):
        page, found = draw_page(first_seed + number)
        split = TRAIN if number < train else VAL
        path = root / "images" / split / f"{number + 1:012d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(page).save(path)
        images.append(AnnotatedImage(number + 1, path, *SIZE, split, f"{split}-{number}"))
        for category, mask in found:
            x1, y1, x2, y2 = mask_box(mask)
            box = (float(x1), float(y1), float(x2 - x1), float(y2 - y1))
            annotations.append(
                Annotation(
                    len(annotations) + 1, number + 1, 1 + (category == BUBBLE), box, float(mask.sum()), False,
                    encode_mask(mask),
                )
            )  # fmt: skip
    write_coco(root / ANNOTATIONS_FILE, images, annotations, [Category(1, PANEL), Category(2, BUBBLE)])
    return root


def write_sam2(folder: Path, seed: int = 0) -> Path:
    """A folder in the form of transformers with a small SAM 2 of random weights."""
    import torch
    from transformers import Sam2Model
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(seed)
    Sam2Model(small_sam2_config(side=64, width=8, hidden=32)).save_pretrained(folder)
    return folder
