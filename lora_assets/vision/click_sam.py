"""Models of the segment-anything package (ViT-B/L/H, MobileSAM, and tunes of them) that are asked by clicks and boxes.

Torch is imported inside functions. What belongs elsewhere: opening checkpoints (sam), the starter SAM, which encodes
nothing beforehand (click_starter), the protocol (prompted).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lora_assets.models import OpenWeights
from lora_assets.vision.images import RgbImage
from lora_assets.vision.prompted import CANDIDATES, Candidates, Embedding, Prompt, best_first, check_prompt
from lora_assets.vision.sam import load_sam
from lora_assets.vision.segment import enlarging_matrix, prepare_frame
from lora_assets.vision.yolo import torch_device

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor


class ClickedSam:
    """A Segment Anything model as `Prompted`. One click may mean a part or the whole, so its three masks are the
    candidates; from the second hint on (a box, an earlier answer, more clicks) its single mask is asked too, as its
    authors advise, and takes the place of the worst of the three (Kirillov et al. 2023, "Segment Anything", app. A).
    """

    def __init__(self, sam: Sam, name: str) -> None:
        import torch

        self._sam = sam
        self._name = name
        with torch.inference_mode():
            self._position = sam.prompt_encoder.get_dense_pe()

    @property
    def name(self) -> str:
        """The name that the model was opened by."""
        return self._name

    def embed(self, rgb: RgbImage) -> Embedding:
        """The frame encoded, with the size it takes in the encoder's square."""
        import torch

        with torch.inference_mode():
            pixels, inner = prepare_frame(self._sam, rgb)
            encoded = self._sam.image_encoder(pixels)
        size = encoded.element_size() * encoded.nelement()
        return Embedding(rgb.shape[1], rgb.shape[0], size, (encoded, inner))

    def predict(
        self,
        embedding: Embedding,
        *,
        points: npt.ArrayLike = (),
        labels: npt.ArrayLike = (),
        box: npt.ArrayLike | None = None,
        mask_input: Any = None,
    ) -> Candidates:
        """As `Prompted.predict`; `carry` are logits (L,L) of the decoder."""
        import torch

        prompt = check_prompt(points, labels, box, embedding)
        with torch.inference_mode():
            logits, estimates = self._decoded(embedding, prompt, mask_input)
        clear = prompt.box is not None or mask_input is not None or len(prompt.points) > 1
        order = np.argsort(-estimates[1:], kind="stable") + 1
        chosen = [0, *order[: CANDIDATES - 1]] if clear else list(order)
        masks = np.stack([self._enlarged(logits[place], embedding) for place in chosen])
        # The single mask stands first whatever it thinks of itself: its estimate is not comparable with the others'.
        scores = estimates[chosen]
        if clear:
            scores = np.maximum(scores, np.append(scores.max(), np.zeros(CANDIDATES - 1)))
        return best_first(masks, scores, tuple(logits[place] for place in chosen))

    def _decoded(
        self, embedding: Embedding, prompt: Prompt, mask_input: Any
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Small logits (4,L,L) and estimated IoU (4,): the single mask first, then the three."""
        import torch

        sam = self._sam
        encoded, inner = embedding.features
        scale = np.array([inner[0] / embedding.width, inner[1] / embedding.height], np.float64)

        def tensor(values: npt.NDArray[np.floating]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(sam.device)

        places = None
        if len(prompt.points):
            places = (tensor(prompt.points * scale)[None], torch.from_numpy(prompt.labels)[None].to(sam.device))
        boxes = None if prompt.box is None else tensor(prompt.box * np.tile(scale, 2))[None]
        given = None if mask_input is None else tensor(mask_input)[None, None]
        sparse, dense = sam.prompt_encoder(points=places, boxes=boxes, masks=given)
        logits, estimates = sam.mask_decoder.predict_masks(
            image_embeddings=encoded,
            image_pe=self._position,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        return np.nan_to_num(logits[0].float().cpu().numpy()), np.nan_to_num(estimates[0].float().cpu().numpy())

    def _enlarged(self, logits: npt.NDArray[np.float32], embedding: Embedding) -> npt.NDArray[np.bool_]:
        side, low = self._sam.image_encoder.img_size, logits.shape[-1]
        _, inner = embedding.features
        across = enlarging_matrix(low, side, inner[0], embedding.width)
        down = enlarging_matrix(low, side, inner[1], embedding.height)
        return down @ logits @ across.T > 0


def open_sam(weights: OpenWeights) -> ClickedSam:
    """The model of a checkpoint. Raises ModelError as `load_sam`."""
    return ClickedSam(load_sam(weights.path).to(torch_device()), weights.name)
