"""LAION's aesthetics and CLIP-IQA on one CLIP model: a folder in the format of transformers, opened without the net.

The heads are LAION's published files: one linear layer (github.com/LAION-AI/aesthetic-predictor), or five linear layers
without activations between them (github.com/christophschuhmann/improved-aesthetic-predictor), both on the normalised
embedding. CLIP-IQA (Wang, Chan and Loy, AAAI 2023): softmax over a sentence and its opposite at CLIP's own logit scale.
Its authors use a ResNet CLIP without positional embedding; on a ViT its scale is its own, so it is only ever ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.quality.answers import NO_WINDOW, Answer, MeasureCrops, checked
from lora_assets.quality.batches import Batches
from lora_assets.quality.pictures import QualityCrop
from lora_assets.vision.clip_embedding import TOKENIZER_FILES, ClipModel, clip_pixels
from lora_assets.vision.images import RgbImage

__all__ = [
    "TOKENIZER_FILES", "ClipModel", "clip_measure", "clip_pixels", "head_scores", "load_head",
    "opposite_scores",
]  # fmt: skip

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.float32]


def load_head(path: Path, width: int) -> list[tuple[FloatArray, FloatArray]]:
    """The linear layers (weight (out, in), bias (out,)) of a LAION head for embeddings of `width` numbers.

    Raises ModelError, naming the file, when it is damaged or a head of another CLIP.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        names = sorted({name.rpartition(".")[0] for name in state}, key=lambda name: (len(name), name))
        layers = [
            (state[f"{name}.weight" if name else "weight"].numpy(), state[f"{name}.bias" if name else "bias"].numpy())
            for name in names
        ]
    except Exception as error:
        raise ModelError(f"{path} is no head of LAION's aesthetics ({error}): fetch it again") from error
    sizes = [width, *(weight.shape[0] for weight, _ in layers)]
    if not layers or any(weight.shape[1:] != (into,) for (weight, _), into in zip(layers, sizes, strict=False)):
        shapes = ", ".join(str(tuple(weight.shape)) for weight, _ in layers)
        raise ModelError(f"{path} has layers {shapes}; embeddings of this CLIP have {width} numbers: they do not fit")
    if sizes[-1] != 1:
        raise ModelError(f"{path} answers with {sizes[-1]} numbers, not with one score")
    return layers


def head_scores(embeddings: FloatArray, layers: Sequence[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """The scores (n,) of embeddings (n, width): normalised to length 1, then the linear layers one after the other."""
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    values = embeddings / np.where(length > 0, length, 1.0)
    for weight, bias in layers:
        values = values @ weight.T + bias
    return np.asarray(values[:, 0], np.float32)


def opposite_scores(embeddings: FloatArray, sentences: FloatArray, scale: float) -> FloatArray:
    """CLIP-IQA (n,), 0..1: mean over pairs of the softmax share of the first sentence of each pair.

    `sentences` (2k, width) are the embeddings of good, bad, good, bad, ...; `scale` is CLIP's factor on cosines.
    """
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    near = embeddings / np.where(length > 0, length, 1.0)
    logits = scale * near @ (sentences / np.linalg.norm(sentences, axis=1, keepdims=True)).T
    good, bad = logits[:, 0::2].astype(np.float64), logits[:, 1::2].astype(np.float64)
    return np.asarray((1.0 / (1.0 + np.exp(np.clip(bad - good, -700, 700)))).mean(axis=1), np.float32)


def clip_measure(
    folder: Path,
    heads: Mapping[str, Path],
    prompts: Sequence[str],
    *,
    picture: str,
    square: str,
    device: str,
    half: bool,
    batches: Batches,
) -> MeasureCrops:
    """What measures the LAION metrics of `heads` (name to file) and, with prompts, `clip_iqa` in one pass of CLIP.

    Raises ModelError, naming the file, for a folder or a head that does not fit.
    """
    model = ClipModel(folder, device, half)
    layers = {name: load_head(path, model.width) for name, path in heads.items()}
    sentences = model.embed_sentences(prompts) if prompts else None

    def embed(pictures: Sequence[RgbImage]) -> Sequence[FloatArray]:
        return list(model.embed(np.stack([clip_pixels(each, model.side, square) for each in pictures])))

    def measure(crops: Sequence[QualityCrop], names: Sequence[str]) -> dict[str, list[Answer]]:
        shown = [crop.shown(picture) for crop in crops]
        there = [place for place, each in enumerate(shown) if each is not None]
        found = {name: [Answer(None, NO_WINDOW) for _ in crops] for name in names}
        if not there:
            return found
        embeddings = np.stack(batches.run(embed, [each for each in shown if each is not None]))
        for name in names:
            if name in layers:
                scores = head_scores(embeddings, layers[name])
            elif sentences is not None:
                scores = opposite_scores(embeddings, sentences, model.scale)
            else:
                continue
            for place, score in zip(there, scores, strict=True):
                found[name][place] = checked(float(score))
        return found

    return measure
