"""A finished export read as its trainer would read it, and judged against what it was meant to be.

seen.py            what a trainer sees: pictures, captions, masks; how paths in its configuration lead to files
kohya.py           kohya sd-scripts
onetrainer.py      OneTrainer
ai_toolkit.py      ai-toolkit
diffusion_pipe.py  diffusion-pipe
annotations.py     COCO, YOLO, Hugging Face imagefolder
judging.py         what was seen against what was meant: losses in words, figures

The readers follow the trainers' own sources (the design's TRAINERS), not the writers: nothing of writing is used here.
"""

from collections.abc import Callable

from lora_assets.exports.reading.ai_toolkit import read_ai_toolkit
from lora_assets.exports.reading.annotations import read_coco, read_imagefolder, read_yolo_boxes, read_yolo_outlines
from lora_assets.exports.reading.diffusion_pipe import read_diffusion_pipe
from lora_assets.exports.reading.judging import as_seen, read_back
from lora_assets.exports.reading.kohya import (
    read_kohya_alpha,
    read_kohya_finetune,
    read_kohya_folders,
    read_kohya_masks,
)
from lora_assets.exports.reading.onetrainer import read_onetrainer
from lora_assets.exports.reading.seen import Export, Seen

READERS: dict[str, Callable[[Export], Seen]] = {
    "kohya": read_kohya_folders,
    "kohya-masks": read_kohya_masks,
    "kohya-alpha": read_kohya_alpha,
    "kohya-finetune": read_kohya_finetune,
    "onetrainer": read_onetrainer,
    "ai-toolkit": read_ai_toolkit,
    "diffusion-pipe": read_diffusion_pipe,
    "huggingface": read_imagefolder,
    "coco": read_coco,
    "yolo": read_yolo_outlines,
    "yolo-detect": read_yolo_boxes,
}
"""The reader of each format of settings.FORMATS."""

__all__ = ["READERS", "Export", "Seen", "as_seen", "read_back"]
