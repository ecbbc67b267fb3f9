"""What section [quality] of a tracker may say. The defaults of weights and bands stand beside the ensemble."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lora_assets.quality.ensemble import BANDS, PROFILES, WEIGHT_SETS
from lora_assets.quality.metrics import METRIC, SIGNALS, metrics_of

WINDOW, CUTOUT = "window", "cutout"
PAD, CENTRE = "pad", "centre"
FACE_PARTS = {"confidence": 0.4, "size": 0.3, "pose": 0.3, "sharpness": 0.0, "lighting": 0.0, "visible": 0.0}
"""Weights of the parts of face quality; the last three are told in the table and weigh nothing by default."""


def _known(names: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"{what} {name!r} is not known{hint}; known: {', '.join(known)}")


def _texts(values: object, name: str) -> None:
    if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} must be a list of texts, not {values!r}")


def _weights(weights: object, what: str) -> None:
    if not isinstance(weights, Mapping):
        raise ValueError(f"{what} must be told by name, such as {{face = 0.3}}, not as {weights!r}")
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
            raise ValueError(f"{what} of {name} is {weight!r}: give a number of at least 0")


def _falling(limits: object, count: int) -> bool:
    if not isinstance(limits, tuple) or len(limits) != count:
        return False
    numbers = all(isinstance(limit, int | float) and 0 < limit < 10 for limit in limits)
    return numbers and sorted(set(limits), reverse=True) == list(limits)


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Section [quality].

    `profile` basic measures aesthetics, BRISQUE and the face only. `weight_set` start or less_portrait, `weights`
    changes single signals of it. `aesthetics`, `face` and `pose` name the metrics of those signals in order: the first
    of which the tracker has values counts. `picture`: window shows the metrics of whole pictures the crop's window of
    the frame, cutout the figure on grey. The window is the default because the learned ones were trained on whole
    pictures, in which no figure stands on flat grey; BRISQUE tells damage alike in both (`lora-assets bench quality`).
    `square`: pad shows CLIP the whole crop, centre cuts its middle as published, which beheads a standing figure.
    `rank_unproven` ranks inside the tracker what has no fixed meaning on drawings. `device` is that of CLIP and MUSIQ,
    "" takes a GPU where there is one; ONNX files follow LORA_ASSETS_DEVICE. `half` counts on a GPU only. Vetoed crops
    are measured only with `measure_vetoed`. Raises ValueError for what does not fit.
    """

    profile: str = "full"
    weight_set: str = "start"
    weights: dict[str, float] = field(default_factory=dict)
    bands: tuple[float, ...] = tuple(limit for _, limit in BANDS[:-1])
    rank_unproven: bool = True
    aesthetics: tuple[str, ...] = ("laion_mlp_l14", "laion_linear_l14", "laion_linear_b32")
    face: tuple[str, ...] = ("face_detections", "face_yunet")
    pose: tuple[str, ...] = ("pose_rtmpose", "pose_key_points")
    leave_out: tuple[str, ...] = ()
    picture: str = WINDOW
    square: str = PAD
    face_parts: dict[str, float] = field(default_factory=dict)
    clip_b32: str = "clip-vit-base-patch32"
    clip_l14: str = "clip-vit-large-patch14"
    clip_iqa_prompts: tuple[str, ...] = ("Good photo.", "Bad photo.")
    anime_aesthetic_model: str = "anime-aesthetic"
    musiq_model: str = "musiq-koniq"
    pose_model: str = "rtmpose-m"
    face_model: str = "yunet"
    batch: int = 16
    device: str = ""
    half: bool = False
    one_model_at_a_time: bool = False
    measure_vetoed: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("profile", tuple(PROFILES)), ("weight_set", tuple(WEIGHT_SETS)), ("picture", (WINDOW, CUTOUT)),
            ("square", (PAD, CENTRE)), ("device", ("", "cpu", "cuda")),
        ):  # fmt: skip
            _known([getattr(self, name)], known, name)
        for name in ("rank_unproven", "half", "one_model_at_a_time", "measure_vetoed"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        _weights(self.weights, "weights: the weight")
        _known(tuple(self.weights), SIGNALS, "the signal")
        _weights(self.face_parts, "face_parts: the weight")
        _known(tuple(self.face_parts), tuple(FACE_PARTS), "the part of the face")
        for name in ("aesthetics", "face", "pose", "leave_out", "clip_iqa_prompts"):
            _texts(getattr(self, name), name)
        for name in ("clip_b32", "clip_l14", "anime_aesthetic_model", "musiq_model", "pose_model", "face_model"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a name or a path in quotes, not {getattr(self, name)!r}")
        _known(self.leave_out, tuple(METRIC), "the metric")
        _known(self.aesthetics, (*metrics_of("aesthetics"), "anime_aesthetic"), "the aesthetics metric")
        _known(self.face, metrics_of("face"), "the face metric")
        _known(self.pose, metrics_of("pose"), "the pose metric")
        if not _falling(self.bands, len(BANDS) - 1):
            raise ValueError(f"bands {self.bands!r} must be a list of {len(BANDS) - 1} falling limits between 0 and 10")
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or not 1 <= self.batch <= 1024:
            raise ValueError(f"batch {self.batch!r} must be a whole number from 1 to 1024")
        if not self.clip_iqa_prompts or len(self.clip_iqa_prompts) % 2:
            raise ValueError("clip_iqa_prompts must be pairs: a sentence of a good picture, then its opposite")
        if max(self.face_part_weights().values()) <= 0:
            raise ValueError("the parts of the face all weigh 0: give one of them a weight")

    def face_part_weights(self) -> dict[str, float]:
        """The weights of the parts of face quality, by name."""
        return {**FACE_PARTS, **self.face_parts}

    def signal_metrics(self) -> dict[str, tuple[str, ...]]:
        """For each signal its metrics, the preferred one first."""
        told = {"aesthetics": self.aesthetics, "face": self.face, "pose": self.pose}
        return {signal: told.get(signal, metrics_of(signal)) for signal in SIGNALS}

    def wanted_metrics(self) -> tuple[str, ...]:
        """The metrics that are to be measured: those of the profile's signals that are not left out."""
        signals = PROFILES[self.profile]
        chosen = {name for signal in signals for name in (*self.signal_metrics()[signal], *metrics_of(signal))}
        return tuple(name for name in METRIC if name in chosen and name not in self.leave_out)
