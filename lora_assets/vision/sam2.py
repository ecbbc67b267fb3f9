"""SAM 2 and SAM 2.1 from a folder in the form of transformers (`config.json` and `model.safetensors`).

One frame is encoded once (`encode`); boxes, points and earlier masks are answered from that (`decode`), for trackers,
for clicks (`open_sam2`) and for fine-tuning, which needs gradients. Ravi et al., "SAM 2: Segment Anything in Images and
Videos", 2024; the memory of the video model is not used, each frame stands alone. What belongs elsewhere: choosing a
candidate and enlarging it for a tracker (segment), how the folder is found by a name (models.opening).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError, OpenWeights
from lora_assets.vision.boxes import FloatArray
from lora_assets.vision.images import RgbImage
from lora_assets.vision.prompted import Candidates, Embedding, best_first, check_prompt
from lora_assets.vision.yolo import torch_device

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Sam2Config, Sam2Model

CODE_VERSION = "1"
CONFIG_FILE = "config.json"

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The normalisation of `Sam2ImageProcessor`, of colours from 0 to 1."""
_MODEL_TYPES = ("sam2", "sam2_video")
_LOGIT_LIMIT = 1000.0
_CODE_SCALE = 0.25
"""Of a new model's random code of places: at 1, SAM's own, two places a sixth of the picture apart have nothing in
common, and what lies between the corners of a large box is hardly found out."""
_LIKENESS = 2.0
"""How many times torch's usual weights queries and keys of a new decoder have: how surely they find their like."""


@dataclass(frozen=True, slots=True, eq=False)
class Sam2Prompts:
    """N prompts of one frame, in pixels of the frame: boxes (N,4) or None, points (N,P,2) with labels (N,P) or None,
    earlier logits (N,1,L,L) or None. Every prompt has as many points as the others."""

    boxes: Tensor | None = None
    points: Tensor | None = None
    labels: Tensor | None = None
    masks: Tensor | None = None


def read_sam2_config(folder: Path) -> Sam2Config:
    """The architecture of a folder. Raises ModelError when its config.json is absent, damaged or of another model."""
    path = folder / CONFIG_FILE
    Config = _transformers().Sam2Config
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}): a SAM 2 model is a folder with {CONFIG_FILE} and model.safetensors; "
            "copy both files of the same repository"
        ) from error
    kind = told.get("model_type") if isinstance(told, dict) else None
    if kind not in _MODEL_TYPES:
        raise ModelError(f"{path} tells of the model type {kind!r}, not of SAM 2: name another folder")
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    try:
        return Config(**{part: told[part] for part in parts if part in told})
    except Exception as error:  # its own checks raise what they like
        raise ModelError(f"{path} does not describe a SAM 2 model ({_line(error)}): copy the file again") from error


def load_sam2(weights: Path) -> Sam2Model:
    """The model of a weights file with config.json beside it: float32, in evaluation mode, on the CPU, no gradients.

    Only safetensors are read. Raises ModelError when a file is damaged, or does not hold every tensor of the model.
    """
    import torch

    folder = weights.parent
    config = read_sam2_config(folder)
    if not weights.is_file():
        raise ModelError(f"{weights} is not there: copy it beside {folder / CONFIG_FILE}")
    try:
        model, told = _transformers().Sam2Model.from_pretrained(
            folder, config=config, local_files_only=True, use_safetensors=True, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # the reader of the format raises what it likes for a damaged or foreign file
        raise ModelError(
            f"{weights} cannot be opened as the SAM 2 model that {CONFIG_FILE} describes ({_line(error)}): it is "
            "damaged or of another size; fetch both files of the same repository again"
        ) from error
    absent = sorted(told["missing_keys"])
    if absent:
        raise ModelError(
            f"{weights} holds another model: {len(absent)} tensors of SAM 2 are not in it ({absent[0]}, ...); fetch "
            f"the file again, with the {CONFIG_FILE} of the same repository"
        )
    return model.eval().requires_grad_(False)


def new_sam2(config: Sam2Config, seed: int) -> Sam2Model:
    """A model of random weights from which boxes and points can be learned, in evaluation mode, on the CPU.

    What transformers draws for `Sam2Model(config)` cannot: it codes places of the picture and of prompts by two
    different matrices, which are one in every trained model (and buffers, that never learn), and its weights are so
    small that the masks, products of many of them, are nothing. Here the matrices are one, layers begin as torch
    begins them, and in the decoder's attention queries and keys begin alike, so that a place first looks at its like
    (Trockman and Kolter, "Mimetic Initialization of Self-Attention Layers", 2023).
    """
    import torch

    random = torch.get_rng_state()
    try:
        torch.manual_seed(seed)
        model = _transformers().Sam2Model(config)
        for layer in model.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    finally:
        torch.set_rng_state(random)
    with torch.no_grad():
        _code(model).mul_(_CODE_SCALE)
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(_code(model))
        for attention in model.mask_decoder.modules():
            if hasattr(attention, "q_proj"):
                attention.q_proj.weight.mul_(_LIKENESS)
                attention.k_proj.weight.copy_(attention.q_proj.weight)
    return model.eval().requires_grad_(False)


def codes_agree(model: Sam2Model) -> bool:
    """Whether places of the picture and of prompts are coded alike, as in every trained model."""
    import torch

    return torch.equal(_code(model), model.prompt_encoder.shared_embedding.positional_embedding)


def _code(model: Sam2Model) -> Tensor:
    return model.shared_image_embedding.positional_embedding


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelError("SAM 2 needs transformers: pip install 'lora_assets[sam2]'") from error
    transformers.utils.logging.disable_progress_bar()  # pyright: ignore[reportAttributeAccessIssue]
    return transformers


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def input_side(model: Sam2Model) -> int:
    """Pixels per side of the square that a frame is resized into."""
    return int(model.prompt_encoder.input_image_size)  # pyright: ignore[reportArgumentType]


def pixels_of(model: Sam2Model, image: RgbImage) -> Tensor:
    """The encoder's input (1,3,S,S) of an RGB frame: resized to the square whatever its shape, as SAM 2 learned it."""
    import torch
    from torch.nn import functional

    place = model.no_memory_embedding.device
    # A copy where the array cannot be written: torch warns of sharing it.
    pixels = torch.from_numpy(np.array(image, copy=not image.flags.writeable)).to(place).permute(2, 0, 1)[None].float()
    side = input_side(model)
    pixels = functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True).round() / 255
    mean, std = (torch.tensor(values, device=place).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return (pixels - mean) / std


def encode(model: Sam2Model, pixels: Tensor) -> tuple[Tensor, ...]:
    """Feature maps (1,C,H,W), the finest first, of one frame; as `Sam2Model.get_image_embeddings`, with gradients."""
    told = model.get_image_features(pixels, return_dict=True)  # pyright: ignore[reportCallIssue]
    maps = list(told.fpn_hidden_states)
    maps[-1] = maps[-1] + model.no_memory_embedding
    return tuple(
        one.permute(1, 2, 0).reshape(1, -1, *size) for one, size in zip(maps, model.backbone_feature_sizes, strict=True)
    )


def decode(
    model: Sam2Model, features: tuple[Tensor, ...], prompts: Sam2Prompts, size: tuple[int, int], three: bool
) -> tuple[Tensor, Tensor]:
    """Logits (N,M,L,L) over the whole frame and predicted IoUs (N,M) of N prompts; M is 3 with `three`, else 1.

    `size` is the frame's width and height in pixels.
    """
    given = prompts.boxes if prompts.boxes is not None else prompts.points
    if given is None:
        raise ValueError("nothing is asked: give boxes or points")
    count, side = len(given), input_side(model)
    scale = given.new_tensor([side / size[0], side / size[1]])
    sparse, dense = model.prompt_encoder(
        input_points=None if prompts.points is None else (prompts.points * scale)[:, None],
        input_labels=None if prompts.labels is None else prompts.labels[:, None],
        input_boxes=None if prompts.boxes is None else (prompts.boxes * scale.repeat(2))[:, None],
        input_masks=prompts.masks,
    )
    position = model.get_image_wide_positional_embeddings()
    # A prompt is an image of its own here: the decoder takes an earlier mask per image only.
    each = [one.expand(count, -1, -1, -1) for one in features]
    logits, estimates, _, _ = model.mask_decoder(
        image_embeddings=each[-1],
        image_positional_embeddings=position.expand(count, -1, -1, -1),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense.expand(count, -1, -1, -1),
        multimask_output=three,
        high_resolution_features=each[:-1],
    )
    return logits[:, 0], estimates[:, 0]


def box_logits(
    model: Sam2Model, features: tuple[Tensor, ...], boxes: FloatArray, size: tuple[int, int], three: bool
) -> tuple[FloatArray, FloatArray]:
    """Small logits (B,M,L,L) and estimated IoU (B,M) of boxes in pixels of the frame, finite, for a tracker."""
    import torch

    asked = torch.from_numpy(boxes.astype(np.float32)).to(features[-1].device)
    logits, estimates = decode(model, features, Sam2Prompts(boxes=asked), size, three)
    bounded = np.nan_to_num(logits.float().cpu().numpy(), nan=-_LOGIT_LIMIT, posinf=_LOGIT_LIMIT, neginf=-_LOGIT_LIMIT)
    return bounded, np.clip(np.nan_to_num(estimates.float().cpu().numpy()), 0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class PromptedSam2:
    """SAM 2 asked by clicks and boxes (see `vision.prompted`)."""

    name: str
    model: Sam2Model

    def embed(self, rgb: RgbImage) -> Embedding:
        """The frame encoded; the feature maps stay on the model's device."""
        import torch

        with torch.inference_mode():
            features = encode(self.model, pixels_of(self.model, rgb))
        height, width = rgb.shape[:2]
        return Embedding(width, height, sum(one.nbytes for one in features), features)

    def predict(
        self,
        embedding: Embedding,
        *,
        points: npt.ArrayLike = (),
        labels: npt.ArrayLike = (),
        box: npt.ArrayLike | None = None,
        mask_input: Any = None,
    ) -> Candidates:
        """Three candidates; raises PromptError for a prompt that does not fit the frame."""
        import torch
        from torch.nn import functional

        prompt = check_prompt(points, labels, box, embedding)
        place = self.model.no_memory_embedding.device
        size = (embedding.width, embedding.height)
        with torch.inference_mode():
            asked = Sam2Prompts(
                None if prompt.box is None else torch.from_numpy(prompt.box.astype(np.float32))[None].to(place),
                torch.from_numpy(prompt.points.astype(np.float32))[None].to(place) if len(prompt.points) else None,
                torch.from_numpy(prompt.labels)[None].to(place) if len(prompt.points) else None,
                mask_input,
            )
            logits, scores = decode(self.model, embedding.features, asked, size, three=True)
            enlarged = functional.interpolate(logits, size[::-1], mode="bilinear", align_corners=False)[0]
            masks = (enlarged > 0).cpu().numpy()
        return best_first(masks, scores[0].float().cpu().numpy(), tuple(one[None, None] for one in logits[0]))


def open_sam2(weights: OpenWeights) -> PromptedSam2:
    """The model of these weights on this machine's device, to be asked by clicks. Raises ModelError as `load_sam2`."""
    return PromptedSam2(weights.name, load_sam2(weights.path).to(torch_device()))  # pyright: ignore[reportArgumentType]
