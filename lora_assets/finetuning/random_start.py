"""Tuning from nothing, where no checkpoint of SAM 2 can be had: a small SAM 2 of random weights, and settings that let
it learn.

A random start is no small tune: all of it learns, the encoder at a tenth of the rate (at the full rate the features
move faster than the decoder learns where a prompt is); no clicks on what was wrong yet; and the loss must not be lowest
where every mask is empty (`losses.balanced_loss`). What belongs elsewhere: the weights (vision.sam2), what a setting
means (settings).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lora_assets.finetuning.settings import FULL, TrainingSettings

if TYPE_CHECKING:
    from transformers import Sam2Config

WIDTH, HIDDEN, SIDE = 24, 64, 128
"""Narrowest width of the encoder, width of the decoder, usual pixels a side."""
_SMALLEST_CELL = 16
"""Pixels of the input behind a cell of the coarsest feature map: a side is a multiple of it."""


def random_start(settings: TrainingSettings | None = None) -> TrainingSettings:
    """The settings with all that a random start needs; steps, minutes, seed and the like stay."""
    return replace(
        settings or TrainingSettings(), encoder=FULL, encoder_rate=0.1, learning_rate=2e-3, warmup_steps=50, prompts=16,
        pages=1, corrections=0, share_of_points=0.2, share_of_both=0.0, focal_weight=0.0, balanced_weight=1.0,
    )  # fmt: skip


def write_new_sam2(folder: Path, side: int = SIDE, *, width: int = WIDTH, hidden: int = HIDDEN, seed: int = 0) -> Path:
    """A folder in the form of transformers with a small SAM 2 of random weights that reads `side` pixels a side.

    Raises ValueError when the side is no multiple of 16 from 32 on.
    """
    from transformers.utils import logging

    from lora_assets.vision.sam2 import new_sam2

    if side < 2 * _SMALLEST_CELL or side % _SMALLEST_CELL:
        raise ValueError(f"a side of {side} pixels does not fit: use a multiple of {_SMALLEST_CELL} from 32 on")
    logging.disable_progress_bar()
    new_sam2(small_sam2_config(side, width, hidden), seed).save_pretrained(folder)
    return folder


def small_sam2_config(side: int, width: int, hidden: int) -> Sam2Config:
    """The architecture of SAM 2 with small numbers (as in `write_new_sam2`)."""
    from transformers import Sam2Config

    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": width,
        "image_size": [side, side],
        "embed_dim_per_stage": [width, 2 * width, 4 * width, 8 * width],
        "blocks_per_stage": [1, 1, 2, 1],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "global_attention_blocks": [3],
        "window_size_per_stage": [8, 4, 8, 4],
    }
    return Sam2Config(
        vision_config={
            "backbone_config": backbone,
            "backbone_channel_list": [8 * width, 4 * width, 2 * width, width],
            "backbone_feature_sizes": [[side // cell] * 2 for cell in (4, 8, _SMALLEST_CELL)],
            "fpn_hidden_size": hidden,
        },
        prompt_encoder_config={"hidden_size": hidden, "image_size": side},
        mask_decoder_config={
            "hidden_size": hidden, "mlp_dim": 4 * hidden, "num_attention_heads": 4, "iou_head_hidden_dim": hidden,
        },
    )  # fmt: skip
