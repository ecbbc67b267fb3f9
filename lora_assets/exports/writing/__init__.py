"""Records become the folder that a trainer wants. One module per trainer; each function writes one layout.

target.py          where a layout is written, and the place under which the trainer will see it
kohya.py           kohya sd-scripts: folders, TOML with masks, RGBA, fine-tuning metadata
onetrainer.py      OneTrainer: concepts with masks beside the pictures
ai_toolkit.py      ai-toolkit: YAML, masks in a folder of their own
diffusion_pipe.py  diffusion-pipe: TOML, masks in a folder of their own
annotations.py     COCO, YOLO and the imagefolder of Hugging Face

Nothing here reads back what it wrote: that is done by the trainers' rules, in reading.
"""

from collections.abc import Callable, Sequence

from lora_assets.exports.records import ExportRecord
from lora_assets.exports.writing.ai_toolkit import write_ai_toolkit
from lora_assets.exports.writing.annotations import (
    write_coco,
    write_imagefolder,
    write_yolo_boxes,
    write_yolo_outlines,
)
from lora_assets.exports.writing.diffusion_pipe import write_diffusion_pipe
from lora_assets.exports.writing.kohya import (
    write_kohya_alpha,
    write_kohya_finetune,
    write_kohya_folders,
    write_kohya_masks,
)
from lora_assets.exports.writing.onetrainer import write_onetrainer
from lora_assets.exports.writing.target import Target

Writer = Callable[[Target, Sequence[ExportRecord]], None]

WRITERS: dict[str, Writer] = {
    "kohya": write_kohya_folders,
    "kohya-masks": write_kohya_masks,
    "kohya-alpha": write_kohya_alpha,
    "kohya-finetune": write_kohya_finetune,
    "onetrainer": write_onetrainer,
    "ai-toolkit": write_ai_toolkit,
    "diffusion-pipe": write_diffusion_pipe,
    "huggingface": write_imagefolder,
    "coco": write_coco,
    "yolo": write_yolo_outlines,
    "yolo-detect": write_yolo_boxes,
}
"""The writer of each format of settings.FORMATS."""

__all__ = ["WRITERS", "Target", "Writer"]
