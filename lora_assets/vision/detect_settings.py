"""What a person may set of the stage `detections`, with defaults and limits. What is done with it is in detect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.starter.card import starter_looks
from lora_assets.vision.body_box import PERSON, Proportions
from lora_assets.vision.fusion import SAME_OBJECT_IOU, trust_by_rank
from lora_assets.vision.last_resort import EDGES
from lora_assets.vision.prepare import CONTRAST, SHARPEN, STEPS
from lora_assets.vision.several_looks import LARGEST_SIDE, LEAST_SIDE, read_look
from lora_assets.vision.subjects import ALL, CHOICES, REFERENCES


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """Settings of the stage `detections`.

    weights: the detectors, registry names, added names or paths, most trusted first. Segment Anything weights and the
    word "edges" are last resorts: asked only for frames in which the others found no subject, in the order named.
    roles: what the boxes of some weights are, whatever their classes are called, e.g. {"my_faces.pt": "face"}.
    label_names: own names for the weights' class names, e.g. {"character": "person"}. trust: a number above 0 for each
    of `weights`; empty for 1, 1/2, 1/3, ...
    conf: least confidence, 0 to 1. iou: overlap of two boxes of one class and detector above which the less sure falls,
    0 to 1. fuse_iou: overlap above which boxes of several detectors are one, 0 to 1. max_det: most boxes per detector
    and frame. keep: most boxes per frame, the surest. imgsz: longer side of the detector's input in pixels, 0 for the
    weights' own. looks: each detector looks at a frame several times and tells what the looks agree on, e.g. ["384",
    "448 mirrored", "576"] (longer sides of the input); empty for the weights' own way, which is one look at their own
    side, and for the starter the three of `starter.STARTER_LOOKS`.
    second_pass: what is done to a frame without subjects before it is looked at once more: contrast, sharpen, enlarge;
    empty for no second look. second_pass_conf: least confidence of a body there, 0 to 1; nothing less sure is kept.
    face_to_body: a face or head without a person box gets a body box of `body_heads` heads height and
    `body_width_heads` heads width, where a face box is `face_in_head` of a head. proportions_from: a tracker from whose
    detections these three numbers are measured instead, where they show enough pairs.
    subject_labels: labels that are characters to cut out. subject: which of them in a frame: all, largest, central,
    surest, or references (most like the pictures in data/references/<references>/). least_similarity: likeness to the
    reference pictures under which nothing is cut out, 0 to 1. least_alone: confidence under which a person box that
    neither another detector nor a head, face or key points support is not cut out, 0 to 1.
    Raises ValueError for a value out of range.
    """

    weights: tuple[str, ...] = ("starter-yolo",)
    roles: tuple[tuple[str, str], ...] = ()
    label_names: tuple[tuple[str, str], ...] = ()
    trust: tuple[float, ...] = ()
    conf: float = 0.25
    iou: float = 0.45
    fuse_iou: float = SAME_OBJECT_IOU
    max_det: int = 100
    keep: int = 50
    imgsz: int = 0
    looks: tuple[str, ...] = ()
    second_pass: tuple[str, ...] = (CONTRAST, SHARPEN)
    second_pass_conf: float = 0.4
    face_to_body: bool = True
    body_heads: float = 6.5
    body_width_heads: float = 2.5
    face_in_head: float = 0.75
    proportions_from: str = ""
    subject_labels: tuple[str, ...] = (PERSON,)
    subject: str = ALL
    references: str = ""
    least_similarity: float = 0.0
    least_alone: float = 0.0

    def __post_init__(self) -> None:
        for name in ("roles", "label_names"):
            given = getattr(self, name)
            pairs = given.items() if isinstance(given, Mapping) else [tuple(pair) for pair in given]
            object.__setattr__(self, name, tuple(sorted(pairs)))
        for name in ("weights", "subject_labels", "second_pass", "looks"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        object.__setattr__(self, "trust", tuple(self.trust))
        _check_detectors(self)
        _check_numbers(self)
        _check_choices(self)
        if self.looks and self.imgsz:
            raise ValueError("imgsz names one side and looks names several: leave one of them out")
        for look in self.looks:
            if not isinstance(look, str):
                raise ValueError(f"looks must be a list of texts such as '384' or '448 mirrored', not hold {look!r}")
            read_look(look)

    @property
    def proportions(self) -> Proportions:
        """The proportions of an expanded body."""
        return Proportions(self.body_heads, self.body_width_heads, self.face_in_head)

    def weights_trust(self) -> tuple[float, ...]:
        """How far each of `weights` is trusted."""
        return self.trust or trust_by_rank(len(self.weights))


def looks_of(settings: DetectSettings, sha256: str) -> tuple[str, ...]:
    """How weights look at a frame: as the settings say, else as the starter does where they are the starter's; empty
    for one look."""
    return settings.looks or (() if settings.imgsz else starter_looks(sha256))


def _is_number(value: Any, low: float, high: float) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and low <= value <= high


def _check_detectors(settings: DetectSettings) -> None:
    weights = settings.weights
    if not weights or not all(isinstance(name, str) and name for name in weights):
        raise ValueError("weights must name at least one detector, for example ['starter-yolo']")
    if len(set(weights)) != len(weights):
        raise ValueError(f"weights names a detector twice: {', '.join(weights)}")
    if set(weights) == {EDGES}:
        raise ValueError("weights names edges alone, which is a last resort: name a detector before it")
    if settings.trust and (
        len(settings.trust) != len(weights) or not all(_is_number(t, 1e-6, 1e6) for t in settings.trust)
    ):
        raise ValueError(f"trust must hold a number above 0 for each of {', '.join(weights)}, not {settings.trust}")
    for name in ("roles", "label_names"):
        for pair in getattr(settings, name):
            if len(pair) != 2 or not all(isinstance(part, str) and part for part in pair):
                raise ValueError(f"{name} must map names to labels, not hold {pair!r}")
    known = {part for name in weights for part in (name, Path(name).name, Path(name).stem)}
    strangers = [name for name, _ in settings.roles if name not in known]
    if strangers:
        raise ValueError(f"roles names {', '.join(strangers)}, which weights does not; it names {', '.join(weights)}")


def _check_numbers(settings: DetectSettings) -> None:
    for name in ("conf", "iou", "fuse_iou", "second_pass_conf", "least_similarity", "least_alone"):
        value = getattr(settings, name)
        if not _is_number(value, 0, 1):
            raise ValueError(f"{name} must be a number from 0 to 1, not {value!r}")
    for name, least in (("max_det", 1), ("keep", 1), ("imgsz", 0)):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    if settings.imgsz and not LEAST_SIDE <= settings.imgsz <= LARGEST_SIDE:
        raise ValueError(
            f"imgsz must be 0 (the weights' own) or {LEAST_SIDE} to {LARGEST_SIDE} pixels, not {settings.imgsz}"
        )
    for name, low, high in (("body_heads", 1.0, 12.0), ("body_width_heads", 0.5, 12.0), ("face_in_head", 0.1, 1.0)):
        value = getattr(settings, name)
        if not _is_number(value, low, high):
            raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")


def _check_choices(settings: DetectSettings) -> None:
    if not isinstance(settings.face_to_body, bool):
        raise ValueError(f"face_to_body must be true or false, not {settings.face_to_body!r}")
    unknown = [step for step in settings.second_pass if step not in STEPS]
    if unknown:
        raise ValueError(f"second_pass knows {', '.join(STEPS)}, not {', '.join(map(repr, unknown))}")
    if settings.subject not in CHOICES:
        raise ValueError(f"subject must be one of {', '.join(CHOICES)}, not {settings.subject!r}")
    for name in ("references", "proportions_from"):
        value = getattr(settings, name)
        if not isinstance(value, str) or "/" in value or "\\" in value or value in (".", ".."):
            raise ValueError(f"{name} must be a plain name, not {value!r}")
    if settings.subject == REFERENCES and not settings.references:
        raise ValueError("references must name the folder under data/references/ that holds the character's pictures")
