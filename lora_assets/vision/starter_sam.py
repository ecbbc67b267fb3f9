"""The architecture of the starter SAM: its numbers, a builder and a loader.

It is a `segment_anything.modeling.Sam` as the big ones are, thus `SamPredictor` and everything above it work unchanged.
Because it must learn from scratch in an hour, the patch embedding is four strided convolutions with residual blocks
instead of one 16x16 convolution (Xiao et al., "Early Convolutions Help Transformers See Better", 2021), and positions
are told by sines of single axes from slow to fast instead of random directions, so that "inside this box" is easy to
see; the position embedding of the encoder starts as such sines too. What is asked is also drawn as a rough mask
(`starter_prompts`). To `segment_anything` these are plain layers and weights. How they are trained is in
`lora_assets.training.segmenter`; running a segmenter on frames is in `lora_assets.vision.segment`, and neither belongs
here.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from segment_anything.modeling import Sam
    from torch import nn

IMAGE_SIZE = 512
"""Side in pixels of the square that a frame is resized into (longest side) and padded to."""
PATCH_SIZE = 16
"""Pixels per token side; the low-resolution masks have `4 * IMAGE_SIZE / PATCH_SIZE` = 128 pixels a side."""
STEM_WIDTHS = (24, 48, 96, 192)
STEM_RESIDUALS = (0, 1, 1, 2)
ENCODER_DEPTH = 4
ENCODER_HEADS = 3
ENCODER_MLP_RATIO = 3.0
WINDOW_SIZE = 8
GLOBAL_BLOCKS = (1, 3)
PROMPT_WIDTH = 128
SLOWEST_POSITION_WAVE = 0.08
FASTEST_POSITION_WAVE = 4.0
"""Waves per half side of the square: the slowest sine rises steadily over all of it."""
DECODER_DEPTH = 2
DECODER_HEADS = 8
DECODER_MLP_WIDTH = 512
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


def architecture_numbers() -> dict[str, object]:
    """Every number that fixes the shape of the network, for the card beside the weights."""
    return {
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
        "stem_widths": list(STEM_WIDTHS),
        "stem_residuals": list(STEM_RESIDUALS),
        "encoder_depth": ENCODER_DEPTH,
        "encoder_heads": ENCODER_HEADS,
        "encoder_mlp_ratio": ENCODER_MLP_RATIO,
        "window_size": WINDOW_SIZE,
        "global_blocks": list(GLOBAL_BLOCKS),
        "prompt_width": PROMPT_WIDTH,
        "position_waves": [SLOWEST_POSITION_WAVE, FASTEST_POSITION_WAVE],
        "decoder_depth": DECODER_DEPTH,
        "decoder_heads": DECODER_HEADS,
        "decoder_mlp_width": DECODER_MLP_WIDTH,
    }


def convolution_stem() -> nn.Module:
    """A float Bx3xHxW batch in, tokens Bx(H/16)x(W/16)xC out, as `segment_anything`'s own patch embedding."""
    from torch import nn
    from torchvision.models.resnet import BasicBlock
    from torchvision.ops import Conv2dNormActivation, Permute

    layers: list[nn.Module] = []
    width_before = 3
    for width, residuals in zip(STEM_WIDTHS, STEM_RESIDUALS, strict=True):
        layers.append(Conv2dNormActivation(width_before, width, kernel_size=3, stride=2))
        layers.extend(BasicBlock(width, width) for _ in range(residuals))
        width_before = width
    return nn.Sequential(*layers, nn.Conv2d(width_before, width_before, kernel_size=1), Permute([0, 2, 3, 1]))


def position_waves() -> torch.Tensor:
    """The 2 x (`PROMPT_WIDTH` / 2) matrix that positions are multiplied with: waves of x first, then of y."""
    import torch

    waves = torch.logspace(math.log10(SLOWEST_POSITION_WAVE), math.log10(FASTEST_POSITION_WAVE), PROMPT_WIDTH // 4)
    nothing = torch.zeros_like(waves)
    return torch.stack([torch.cat([waves, nothing]), torch.cat([nothing, waves])])


def first_positions() -> torch.Tensor:
    """What the encoder's position embedding is before training: sines and cosines of both axes, 1 x T x T x C."""
    import torch

    tokens, width = IMAGE_SIZE // PATCH_SIZE, STEM_WIDTHS[-1]
    waves = torch.logspace(math.log10(SLOWEST_POSITION_WAVE), math.log10(FASTEST_POSITION_WAVE), width // 4)
    angles = math.pi * 2 * torch.linspace(-1, 1, tokens)[:, None] * waves
    code = torch.cat([angles.sin(), angles.cos()], dim=1)
    along_x = code[None].expand(tokens, tokens, -1)
    along_y = code[:, None].expand(tokens, tokens, -1)
    return torch.cat([along_x, along_y], dim=2)[None] / 2


def build_starter_sam() -> Sam:
    """The starter SAM with random weights, in evaluation mode, on the CPU, float32."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, Sam, TwoWayTransformer

    from lora_assets.vision.starter_prompts import RoughPromptEncoder

    encoder = ImageEncoderViT(
        img_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        embed_dim=STEM_WIDTHS[-1],
        depth=ENCODER_DEPTH,
        num_heads=ENCODER_HEADS,
        mlp_ratio=ENCODER_MLP_RATIO,
        out_chans=PROMPT_WIDTH,
        qkv_bias=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),  # pyright: ignore[reportArgumentType]
        use_rel_pos=False,
        window_size=WINDOW_SIZE,
        global_attn_indexes=GLOBAL_BLOCKS,
    )
    encoder.patch_embed = convolution_stem()  # pyright: ignore[reportAttributeAccessIssue]
    encoder.pos_embed = torch.nn.Parameter(first_positions())
    tokens = IMAGE_SIZE // PATCH_SIZE
    prompts = RoughPromptEncoder(
        embed_dim=PROMPT_WIDTH,
        image_embedding_size=(tokens, tokens),
        input_image_size=(IMAGE_SIZE, IMAGE_SIZE),
        mask_in_chans=16,
    )
    prompts.pe_layer.positional_encoding_gaussian_matrix = position_waves()
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(
            depth=DECODER_DEPTH, embedding_dim=PROMPT_WIDTH, mlp_dim=DECODER_MLP_WIDTH, num_heads=DECODER_HEADS
        ),
        transformer_dim=PROMPT_WIDTH,
        iou_head_depth=3,
        iou_head_hidden_dim=PROMPT_WIDTH,
    )
    sam = Sam(
        image_encoder=encoder,
        prompt_encoder=prompts,
        mask_decoder=decoder,
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
        raise ValueError(
            f"{path.name} does not hold the weights of the starter SAM ({error}): restore the file that came with the "
            "package, or train it again with `python -m lora_assets.training.segmenter`"
        ) from error
    return sam
