"""CLIP-like checkpoints (CLIP, SigLIP) of a folder in the format of transformers, opened without the net.

The one place that opens such a folder: pictures and sentences to embeddings, on one device. What belongs elsewhere:
scores made of embeddings (quality), vectors of objects (mining).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.models import ModelError, resolve
from lora_assets.models.digests import remembered_sha256
from lora_assets.models.opening import weights_path
from lora_assets.models.registry import find
from lora_assets.vision.images import RgbImage

if TYPE_CHECKING:
    from torch import Tensor

CODE_VERSION = "1"

PAD, CENTRE = "pad", "centre"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
TOKENIZER_FILES = ("vocab.json", "merges.txt")
_GREY = 128
# OpenAI's own mean and deviation of the three channels, the same for all its CLIP models.
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
# SigLIP was trained on levels from -1 to 1 (its published preprocessor).
_HALF = (0.5, 0.5, 0.5)

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder with weights that may be opened, and the SHA-256 of all that changes its answers."""

    folder: Path
    sha256: tuple[str, ...]


def clip_folder(name: str, data: Path) -> Path:
    """Where a folder lies: a path of its own, or a folder of that name under `data/models/`."""
    own = Path(name).expanduser()
    return own.absolute() if own.is_absolute() or own.is_dir() else (data / "models" / name).absolute()


def find_checkpoint(name: str, data: Path) -> Checkpoint | str:
    """The checkpoint of a folder, or in words why there is none. Raises ModelError for weights that the registry knows
    and that are other ones."""
    folder = clip_folder(name, data)
    file = next((folder / known for known in WEIGHT_FILES if (folder / known).is_file()), None)
    if file is None:
        return (
            f"there is no CLIP model in {folder}: put a folder in the format of transformers there (config.json, "
            f"{' or '.join(WEIGHT_FILES)})"
        )
    if not (folder / "config.json").is_file():
        return f"{folder} has no config.json: copy it from where the weights come from"
    known = find(str(Path(folder.name) / file.name))
    if known is not None and weights_path(known, data) == file:
        resolve(known.name, data)
    beside = [folder / each for each in ("config.json", "preprocessor_config.json")]
    told = [hashlib.sha256(path.read_bytes()).hexdigest() for path in beside if path.is_file()]
    return Checkpoint(folder, (remembered_sha256(file, data), *told))


def clip_pixels(
    picture: RgbImage,
    side: int,
    square: str,
    mean: Sequence[float] = _CLIP_MEAN,
    deviation: Sequence[float] = _CLIP_STD,
) -> FloatArray:
    """A picture HxWx3 as CLIP reads it: (3, side, side), bicubic, normalised.

    `square` pad fits the whole picture on grey; centre cuts the middle square out, as CLIP's own preprocessing does.
    """
    height, width = picture.shape[:2]
    scale = side / (max(height, width) if square == PAD else min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    if square == PAD:
        canvas = Image.new("RGB", (side, side), (_GREY, _GREY, _GREY))
        canvas.paste(small, ((side - size[0]) // 2, (side - size[1]) // 2))
    else:
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        canvas = small.crop((left, top, left + side, top + side))
    level = np.asarray(canvas, np.float32) / np.float32(255.0)
    middle, spread = np.asarray(mean, np.float32), np.asarray(deviation, np.float32)
    return np.ascontiguousarray(((level - middle) / spread).transpose(2, 0, 1))


class ClipModel:
    """A checkpoint of a folder: pictures and sentences to embeddings, on one device.

    `side` is the picture's side in pixels, `width` the numbers of an embedding, `scale` the factor on cosines; `half`
    counts on CUDA only. Raises ModelError, naming the folder, for what cannot be opened or makes no embeddings.
    """

    def __init__(self, folder: Path, device: str, half: bool) -> None:
        import torch

        try:
            from transformers import AutoModel
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise ModelError(f"{folder} needs the package transformers: pip install 'lora_assets[clip]'") from error
        disable_progress_bar()
        try:
            model: Any = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=(folder / WEIGHT_FILES[0]).is_file(), dtype=torch.float32
            )
        except Exception as error:
            raise ModelError(
                f"{folder} cannot be opened as a CLIP model of transformers ({error}): it needs config.json and one of "
                f"{', '.join(WEIGHT_FILES)}"
            ) from error
        side = getattr(getattr(model.config, "vision_config", None), "image_size", None)
        if not hasattr(model, "get_image_features") or not isinstance(side, int):
            raise ModelError(
                f"{folder} holds a {type(model).__name__}, which makes no embeddings of square pictures: name a CLIP "
                "or SigLIP checkpoint (of SigLIP 2 one of fixed size)"
            )
        self.folder = folder
        self.device = device
        self.half = half and device == "cuda"
        self._model = (model.half() if self.half else model).to(device).eval()
        self.side = side
        self.mean, self.deviation = _normalisation(folder, str(model.config.model_type))
        self.width = int(getattr(model.config, "projection_dim", None) or model.config.vision_config.hidden_size)
        self.scale = float(model.logit_scale.detach().float().exp())

    def pixels(self, picture: RgbImage, square: str) -> FloatArray:
        """A picture as this checkpoint reads it, see `clip_pixels`."""
        return clip_pixels(picture, self.side, square, self.mean, self.deviation)

    def embed(self, pixels: FloatArray) -> FloatArray:
        """Embeddings (n, width) of prepared pictures (n, 3, side, side)."""
        import torch

        fed = torch.from_numpy(pixels).to(self.device)
        with torch.inference_mode():
            found = self._model.get_image_features(pixel_values=fed.half() if self.half else fed)
        return _pooled(found)

    def embed_sentences(self, sentences: Sequence[str]) -> FloatArray:
        """Embeddings (n, width) of sentences. Raises ModelError when the folder has no tokenizer of CLIP."""
        import torch
        from transformers import CLIPTokenizer

        # Without them transformers makes a tokenizer that knows no word, and says nothing.
        lacking = [name for name in TOKENIZER_FILES if not (self.folder / name).is_file()]
        if lacking:
            raise ModelError(f"{self.folder} has no {' and no '.join(lacking)}: CLIP-IQA needs them beside the weights")
        try:
            tokenizer: Any = CLIPTokenizer.from_pretrained(self.folder, local_files_only=True)
            tokens = tokenizer(list(sentences), padding=True, truncation=True, return_tensors="pt").to(self.device)
        except Exception as error:
            raise ModelError(
                f"{self.folder} has no usable tokenizer ({error}): CLIP-IQA needs its {' and '.join(TOKENIZER_FILES)}"
            ) from error
        with torch.inference_mode():
            return _pooled(self._model.get_text_features(**tokens))


def _pooled(found: Any) -> FloatArray:
    tensor: Tensor = found if hasattr(found, "float") else found.pooler_output
    return tensor.float().cpu().numpy()


def _normalisation(folder: Path, model_type: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the three channels: what the folder's preprocessor says, else what the family was trained
    with. Raises ModelError for a preprocessor file that cannot be read."""
    path = folder / "preprocessor_config.json"
    if path.is_file():
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            mean, deviation = (tuple(float(v) for v in told[name]) for name in ("image_mean", "image_std"))
        except KeyError:
            mean = deviation = ()
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{path} cannot be read ({error}): copy it again, or delete it") from error
        if len(mean) == len(deviation) == 3 and all(value > 0 for value in deviation):
            return mean, deviation
    return (_HALF, _HALF) if model_type.startswith("siglip") else (_CLIP_MEAN, _CLIP_STD)
