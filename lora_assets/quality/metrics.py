"""Every metric of image quality as data: what it measures, its direction and range, weights, licence, cost, source.

A metric is one number per crop; a signal is what the ensemble weighs, and takes the first metric of its list that the
tracker has values of. How a metric is computed stands in the module that `engine` names; how signals become a score is
in ensemble.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HIGHER, LOWER = "higher", "lower"
PICTURE, FIGURE, FACE, TABLE = "picture", "figure", "face", "table"

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `low` and `high` are the ends of its scale, `better` the direction (higher or lower is better).

    `absolute`: its values mean the same on drawings; where False it was made for photographs (or has no fixed scale)
    and is ranked inside the tracker. `weights` are names of the registry; `cost` is free (read from a table), cheap
    (arithmetic), model (a small network) or heavy (best on a GPU). `looks_at`: the picture of the crop (as the setting
    `picture` says), the figure (pixels under the mask), the face, or a published table. `marks` are marks on the
    normalised scale (good from, or bands) to begin with: they are told, nothing is cut at them.
    """

    name: str
    signal: str
    engine: str
    better: str
    low: float
    high: float
    absolute: bool
    looks_at: str
    medium: str
    weights: tuple[str, ...]
    licence: str
    commercial: bool
    cost: str
    source: str
    what: str
    marks: tuple[float, ...] = ()

    def normalised(self, values: FloatArray) -> FloatArray:
        """Values on a scale from 0 (worst) to 1 (best); NaN stays NaN."""
        share = np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)
        return share if self.better == HIGHER else 1.0 - share


_LAION = "Schuhmann et al., LAION-5B (2022)"

METRICS: tuple[Metric, ...] = (
    Metric(
        "laion_mlp_l14", "aesthetics", "clip_l14", HIGHER, 0, 10, False, PICTURE, "photographs and paintings",
        ("laion-mlp-l14",), "Apache-2.0; CLIP: MIT", True, "heavy",
        "github.com/christophschuhmann/improved-aesthetic-predictor",
        "how much people like it: CLIP ViT-L/14 and five linear layers, trained on SAC, Logos and AVA",
    ),
    Metric(
        "laion_linear_l14", "aesthetics", "clip_l14", HIGHER, 0, 10, False, PICTURE, "photographs and paintings",
        ("laion-linear-l14",), "MIT; CLIP: MIT", True, "heavy", f"github.com/LAION-AI/aesthetic-predictor; {_LAION}",
        "how much people like it: CLIP ViT-L/14 and one linear layer",
    ),
    Metric(
        "laion_linear_b32", "aesthetics", "clip_b32", HIGHER, 0, 10, False, PICTURE, "photographs and paintings",
        ("laion-linear-b32",), "MIT; CLIP: MIT", True, "model", f"github.com/LAION-AI/aesthetic-predictor; {_LAION}",
        "how much people like it: CLIP ViT-B/32 and one linear layer",
    ),
    Metric(
        "anime_aesthetic", "anime_aesthetic", "anime_aesthetic", HIGHER, 0, 6, True, PICTURE, "drawings",
        ("anime-aesthetic",), "OpenRAIL", True, "heavy", "huggingface.co/deepghs/anime_aesthetic",
        "expected class of seven, worst 0 to masterpiece 6, trained on rated drawings",
    ),
    Metric(
        "musiq", "musiq", "musiq", HIGHER, 0, 100, False, PICTURE, "photographs", ("musiq-koniq",),
        "code: PolyForm Noncommercial (pyiqa)", False, "heavy", "Ke et al., MUSIQ (ICCV 2021); pyiqa",
        "technical quality as people rated it on KonIQ-10k", (0.5, 0.7, 0.9),
    ),
    Metric(
        "clip_iqa", "clip_iqa", "clip", HIGHER, 0, 1, False, PICTURE, "photographs", (), "MIT", True, "model",
        "Wang, Chan and Loy, Exploring CLIP for Assessing the Look and Feel of Images (AAAI 2023)",
        "which of two opposite sentences CLIP finds nearer; on a ViT CLIP, so its scale is its own",
    ),
    Metric(
        "brisque", "brisque", "brisque", LOWER, 0, 100, False, PICTURE, "photographs",
        ("brisque-model", "brisque-range"), "Apache-2.0", True, "cheap",
        "Mittal, Moorthy and Bovik, IEEE TIP 21(12), 2012; OpenCV contrib's trained files",
        "how far the statistics of luminance are from those of undistorted photographs", (0.7,),
    ),
    Metric(
        "face_detections", "face", "face_table", HIGHER, 0, 1, True, FACE, "any", (), "none needed", True, "cheap",
        "faces of the detections table", "face quality: detector's confidence, size, turned to the viewer",
    ),
    Metric(
        "face_yunet", "face", "yunet", HIGHER, 0, 1, True, FACE, "photographs", ("yunet",), "MIT", True, "model",
        "Wu, Peng and Yu, YuNet (MIR 2023); OpenCV zoo", "face quality with YuNet's boxes and five points",
    ),
    Metric(
        "pose_rtmpose", "pose", "rtmpose", HIGHER, 0, 1, True, PICTURE, "photographs", ("rtmpose-m",), "Apache-2.0",
        True, "model", "Jiang et al., RTMPose (2023)", "mean confidence of 17 key points", (0.8,),
    ),
    Metric(
        "pose_key_points", "pose", "pose_table", HIGHER, 0, 1, True, TABLE, "any", (), "none needed", True, "free",
        "key points of the detections table", "mean confidence of 17 key points", (0.8,),
    ),
    Metric(
        "character", "character", "characters", HIGHER, 0, 1, True, TABLE, "any", (), "see the identity stage", True,
        "free", "table characters", "similarity to the reference pictures of the character",
    ),
    Metric(
        "sharpness", "sharpness", "figure", HIGHER, 0, 1, True, FIGURE, "any", (), "none needed", True, "cheap",
        "Crete et al., The blur effect (SPIE 2007)", "1 - blur: what blurring the figure again takes from its edges",
    ),
    Metric(
        "lighting", "lighting", "figure", HIGHER, 0, 1, True, FIGURE, "any", (), "none needed", True, "cheap",
        "this project", "the figure is lit, and not burnt out",
    ),
    Metric(
        "contrast", "contrast", "figure", HIGHER, 0, 1, True, FIGURE, "any", (), "none needed", True, "cheap",
        "Peli, Contrast in complex images (JOSA A 1990): RMS contrast", "spread of the figure's luminance",
    ),
    Metric(
        "noise", "noise", "figure", LOWER, 0, 20, True, FIGURE, "any", (), "none needed", True, "cheap",
        "Immerkaer, Fast noise variance estimation (CVIU 1996), with a median",
        "grain and noise on the figure, in levels of 255",
    ),
)  # fmt: skip

METRIC = {metric.name: metric for metric in METRICS}
SIGNALS = tuple(dict.fromkeys(metric.signal for metric in METRICS))


def metrics_of(signal: str) -> tuple[str, ...]:
    """The names of the metrics of a signal."""
    return tuple(metric.name for metric in METRICS if metric.signal == signal)
