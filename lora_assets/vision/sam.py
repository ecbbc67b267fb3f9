"""Segment Anything checkpoints (ViT-B, ViT-L, ViT-H, MobileSAM, the starter) as one kind of model.

All become `segment_anything.modeling.Sam`; which one it is, is told by the names and shapes of the tensors. What
belongs elsewhere: running them on frames (segment), the starter's architecture (starter_sam).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lora_assets.models import ModelError
from lora_assets.vision.starter_sam import PIXEL_MEAN, PIXEL_STD, build_starter_sam
from lora_assets.vision.yolo import import_ultralytics

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor

_PATCHES = "image_encoder.patch_embed.proj.weight"
_TINY_PATCHES = "image_encoder.patch_embed.seq.0.c.weight"
_SIDE = 1024
_WIDTH = 256


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pt`, `.pth` or `.safetensors` file by name, on the CPU; nothing else in it is ever run.

    Raises ModelError, naming file, reason and way out, when the file is absent, damaged, or holds more than tensors.
    """
    import torch

    if not path.is_file():
        raise ModelError(f"{path} is not there: fetch it with lora-assets models pull, or name another file")
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise _damaged(path, error) from error
    if isinstance(stored, dict) and isinstance(stored.get("model"), dict):
        stored = stored["model"]
    if not isinstance(stored, dict) or not all(isinstance(value, torch.Tensor) for value in stored.values()):
        raise ModelError(f"{path} does not hold a dictionary of tensors: choose a Segment Anything checkpoint")
    return stored


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ModelError:
    # What follows the first sentence of torch tells how to switch the protection off.
    reason = str(error).splitlines()[0].partition(". ")[0] if str(error) else type(error).__name__
    return ModelError(
        f"{path} cannot be opened as tensors ({reason}): it is damaged or not a plain checkpoint; fetch it again, "
        f"choose other weights (lora-assets models list), or take its numbers out: lora-assets models convert {path}"
    )


def load_sam(path: Path) -> Sam:
    """The Segment Anything model of a file, float32, in evaluation mode, on the CPU, without gradients.

    Raises ModelError when the file is damaged or holds another model.
    """
    import torch

    tensors = {
        name: value.float() if value.is_floating_point() else value for name, value in read_tensors(path).items()
    }
    try:
        if _PATCHES in tensors:
            # Without storage at first: random numbers for ViT-H would cost 2.5 GB and ten seconds.
            with torch.device("meta"):
                sam = _vit_builder(tensors, path)()
            sam.load_state_dict(tensors, strict=True, assign=True)
            sam.pixel_mean = torch.tensor(PIXEL_MEAN).view(-1, 1, 1)
            sam.pixel_std = torch.tensor(PIXEL_STD).view(-1, 1, 1)
        else:
            sam = build_mobile_sam() if _TINY_PATCHES in tensors else build_starter_sam()
            sam.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{path} holds no Segment Anything model that is known here ({reason}): fetch it again, or choose "
            "sam_vit_b, sam_vit_l, sam_vit_h, mobile_sam or starter-sam, see lora-assets models list"
        ) from error
    return sam.eval().requires_grad_(False)


def _vit_builder(tensors: dict[str, Tensor], path: Path) -> Callable[[], Sam]:
    """The builder of the ViT that these tensors belong to, told by their width."""
    from segment_anything.build_sam import build_sam_vit_b, build_sam_vit_h, build_sam_vit_l

    by_width = {768: build_sam_vit_b, 1024: build_sam_vit_l, 1280: build_sam_vit_h}
    width = int(tensors[_PATCHES].shape[0])
    if width not in by_width:
        raise ModelError(
            f"{path} holds a Segment Anything encoder of width {width}: known are {', '.join(map(str, by_width))}; "
            "see lora-assets models list"
        )
    return by_width[width]


def build_mobile_sam() -> Sam:
    """MobileSAM with random weights, in evaluation mode: TinyViT in front of the usual prompt encoder and decoder.

    Zhang et al. 2023, "Faster Segment Anything". Its tensors are named as in the official `mobile_sam.pt`.
    """
    import_ultralytics()
    from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    from ultralytics.models.sam.modules.tiny_encoder import TinyViT

    encoder = TinyViT(
        img_size=_SIDE,
        embed_dims=(64, 128, 160, 320),
        depths=(2, 2, 6, 2),
        num_heads=(2, 4, 5, 10),
        window_sizes=(7, 7, 14, 7),
        drop_path_rate=0.0,
    )
    tokens = _SIDE // 16
    prompts = PromptEncoder(
        embed_dim=_WIDTH,
        image_embedding_size=(tokens, tokens),
        input_image_size=(_SIDE, _SIDE),
        mask_in_chans=16,
    )
    decoder = MaskDecoder(
        transformer=TwoWayTransformer(depth=2, embedding_dim=_WIDTH, mlp_dim=2048, num_heads=8),
        transformer_dim=_WIDTH,
    )
    sam = Sam(encoder, prompts, decoder, list(PIXEL_MEAN), list(PIXEL_STD))  # pyright: ignore[reportArgumentType]
    return sam.eval()
