"""The architecture of the starter SAM: its numbers, a builder and a loader.

It is a `segment_anything.modeling.Sam` as the big ones are, thus `SamPredictor` and everything above it work unchanged.
Because it must learn from scratch in an hour on a processor, it encodes nothing beforehand and looks at every prompt by
itself (`starter_layers`). How it is trained is in `lora_assets.training.segmenter`; running a segmenter on frames is in
`lora_assets.vision.segment`, and neither belongs here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

IMAGE_SIZE = 768
"""Side in pixels of the square that a frame is resized into (longest side) and padded to."""
LOOK_SIDE = 160
"""Pixels per side of a look at a prompt."""
LOOK_MARGIN = 0.15
"""How far a look reaches beyond the box, in its longer sides."""
SMALLEST_LOOK = 32
"""Pixels per side, at least, of what a look sees."""
CELL = 16
"""Pixels per side of a cell of the "embedding"."""
WIDTHS = (24, 48, 96, 160, 256)
"""Channels of the network at 1/2, 1/4, 1/8, 1/16 and 1/32 of a look's side."""
BLOCKS = (0, 1, 2, 3, 2)
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


def architecture_numbers() -> dict[str, object]:
    """Every number that fixes the shape of the network, for the card beside the weights."""
    from lora_assets.vision.starter_layers import CHANNELS, LOOK_STEP, MASK_STEP, MASKS

    return {
        "image_size": IMAGE_SIZE,
        "cell": CELL,
        "widths": list(WIDTHS),
        "blocks": list(BLOCKS),
        "channels": CHANNELS,
        "masks": MASKS,
        "look_side": LOOK_SIDE,
        "look_step": LOOK_STEP,
        "look_margin": LOOK_MARGIN,
        "mask_step": MASK_STEP,
    }


def build_starter_sam() -> Sam:
    """The starter SAM with random weights, in evaluation mode, on the CPU, float32."""
    from segment_anything.modeling import Sam

    from lora_assets.vision.starter_layers import MASK_STEP, LookDecoder, LookNetwork
    from lora_assets.vision.starter_prompts import PixelEncoder, PlainPrompts

    sam = Sam(
        image_encoder=PixelEncoder(IMAGE_SIZE, CELL),  # pyright: ignore[reportArgumentType]
        prompt_encoder=PlainPrompts(IMAGE_SIZE, IMAGE_SIZE // MASK_STEP),  # pyright: ignore[reportArgumentType]
        mask_decoder=LookDecoder(LookNetwork(WIDTHS, BLOCKS), CELL),  # pyright: ignore[reportArgumentType]
        pixel_mean=list(PIXEL_MEAN),
        pixel_std=list(PIXEL_STD),
    )
    return sam.eval()


def load_starter_sam(path: Path) -> Sam:
    """The starter SAM with the weights of the file `path`, float32, in evaluation mode, on the CPU.

    The file is a plain dictionary of tensors, read without unpickling anything else. Raises ValueError when it does not
    hold exactly the weights of this architecture.
    """
    import pickle

    import torch

    sam = build_starter_sam()
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        weights = {name: value.float() if value.is_floating_point() else value for name, value in stored.items()}
        sam.load_state_dict(weights, strict=True)
    except (RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path.name} does not hold the weights of the starter SAM ({reason}): restore the file that came with the "
            "package, or train it again with `python -m lora_assets.training.segmenter`"
        ) from error
    return sam
