"""What section [mining] of a tracker may say, and where the caption service lies.

A picture leaves the machine only when `caption_service` names the service: an address in the environment alone does
nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

DESCRIPTOR = "descriptor"
ENVIRONMENT = "environment"
URL_VARIABLE = "LORA_ASSETS_CAPTION_URL"
MODEL_VARIABLE = "LORA_ASSETS_CAPTION_MODEL"
KEY_VARIABLE = "LORA_ASSETS_CAPTION_KEY"
PROMPT = (
    "Describe the object in the middle of this picture in one short sentence: what it is, its colour, its state, and "
    "what is unusual about it. Answer with the sentence only."
)

_SHARES = (
    "sampling_rate", "least_confidence", "conf", "iou", "same_iou", "early_rare_share", "early_random_share",
    "rare_share", "common_share",
)  # fmt: skip
_COUNTS = {
    "seed": (0, 2**31 - 1), "boxes_per_frame": (1, 10_000), "batch_frames": (1, 10_000), "least_side": (2, 10_000),
    "early_least": (0, 10**9), "batch": (1, 4096), "trees": (1, 10_000), "neighbours": (1, 10_000),
    "rare_least": (0, 10**9), "caption_calls": (0, 10**9), "caption_workers": (1, 64), "caption_attempts": (1, 20),
    "caption_side": (32, 4096), "caption_max_tokens": (1, 4096), "map_most": (4, 100_000), "parallel": (0, 256),
}  # fmt: skip
_SWITCHES = (
    "half", "within_class", "skip_early_filter", "skip_embeddings", "skip_outliers", "skip_rare_class", "skip_novelty",
    "skip_caption", "skip_visualization",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MiningSettings:
    """Section [mining].

    sampling_rate: share of each dataset's frames, drawn with `seed`. parallel: worker threads, 0 for 80 % of the cores.
    yolo_model: a detector, by name or path, to look for objects with; empty for the tracker's own detections (whose
    classes are those of its weights). conf, iou: its limits. boxes_per_frame: the surest boxes of a frame that count;
    of boxes that overlap by `same_iou` or more, whatever their classes, the surest counts; least_confidence and
    least_side (pixels) leave poor ones out; classes: only these class names, empty for all.
    margin: context around the box, as a share of its longer side.
    early_*: the early filter takes `early_rare_share` of the objects, keywords and rarest classes first, and
    `early_random_share` at random; never fewer than `early_least` in all.
    clip_model: a folder in the format of transformers (CLIP, SigLIP), a path or a name under data/models; "descriptor"
    for the built-in description; empty for clip-vit-base-patch32 where it is there, else the descriptor.
    contamination: share of objects that each outlier model calls odd. within_class: IsolationForest looks for what is
    odd for its class, not for what is odd among all. rare_share, rare_least: the rare-class filter
    takes this share of the objects, at least so many, rarest class first; a class that makes up `common_share` of all
    objects or more is never rare. rare_keywords: words in class names (and captions) that make an object rare whatever
    its frequency.
    caption_service: address of an OpenAI-compatible service such as http://127.0.0.1:8000/v1, or "environment" for the
    one in LORA_ASSETS_CAPTION_URL; empty: no picture leaves the machine. caption_model: empty for
    LORA_ASSETS_CAPTION_MODEL. The key is read from LORA_ASSETS_CAPTION_KEY alone. caption_calls: most requests of one
    run, retries counted. caption_timeout_s is for one whole request.
    map_most: most points of the map; all kept objects and, of the others, some drawn with the seed.
    skip_*: steps that are left out; what follows from it is said in the tables.
    Raises ValueError for what does not fit.
    """

    sampling_rate: float = 1.0
    seed: int = 0
    parallel: int = 0
    yolo_model: str = ""
    conf: float = 0.25
    iou: float = 0.45
    boxes_per_frame: int = 50
    same_iou: float = 0.85
    batch_frames: int = 50
    least_confidence: float = 0.25
    least_side: int = 16
    classes: tuple[str, ...] = ()
    margin: float = 0.0
    early_rare_share: float = 0.25
    early_random_share: float = 0.05
    early_least: int = 600
    clip_model: str = ""
    batch: int = 32
    half: bool = True
    device: str = ""
    contamination: float = 0.1
    trees: int = 100
    neighbours: int = 20
    within_class: bool = True
    rare_share: float = 0.3
    rare_least: int = 50
    common_share: float = 0.5
    rare_keywords: tuple[str, ...] = ()
    caption_service: str = ""
    caption_model: str = ""
    caption_prompt: str = PROMPT
    caption_calls: int = 300
    caption_workers: int = 4
    caption_attempts: int = 4
    caption_timeout_s: float = 60.0
    caption_backoff_s: float = 1.0
    caption_side: int = 512
    caption_max_tokens: int = 100
    map_most: int = 5000
    perplexity: float = 30.0
    skip_early_filter: bool = False
    skip_embeddings: bool = False
    skip_outliers: bool = False
    skip_rare_class: bool = False
    skip_novelty: bool = False
    skip_caption: bool = False
    skip_visualization: bool = False

    def __post_init__(self) -> None:
        for name in ("classes", "rare_keywords"):
            given = getattr(self, name)
            words = (given,) if isinstance(given, str) else tuple(given)
            if not all(isinstance(word, str) and word.strip() for word in words):
                raise ValueError(f"{name} must be a list of words, not {given!r}")
            object.__setattr__(self, name, words)
        for name in _SHARES:
            _check_number(name, getattr(self, name), 0.0, 1.0)
        if self.sampling_rate <= 0:
            raise ValueError("sampling_rate must be above 0: with 0 there is no frame to look at")
        _check_number("contamination", self.contamination, 0.0001, 0.5)
        _check_number("margin", self.margin, 0.0, 2.0)
        _check_number("perplexity", self.perplexity, 1.0, 1000.0)
        _check_number("caption_timeout_s", self.caption_timeout_s, 0.01, 3600.0)
        _check_number("caption_backoff_s", self.caption_backoff_s, 0.0, 600.0)
        for name, (low, high) in _COUNTS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        for name in ("yolo_model", "clip_model", "caption_service", "caption_model", "caption_prompt"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a text, not {getattr(self, name)!r}")
        if self.device not in ("", "cpu", "cuda"):
            raise ValueError(f'device must be "", "cpu" or "cuda", not {self.device!r}')
        if not self.caption_prompt.strip():
            raise ValueError("caption_prompt is empty: say what the service shall tell of the picture")
        if self.caption_service not in ("", ENVIRONMENT):
            _check_address(self.caption_service, "caption_service")

    @property
    def workers(self) -> int:
        """Worker threads: as set, or 80 % of the cores this process may use, at least one."""
        return self.parallel or max(1, math.floor(0.8 * len(os.sched_getaffinity(0))))

    def only(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The named settings, as they go into a version or a file."""
        return {name: getattr(self, name) for name in names}


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")


def _check_address(text: str, name: str) -> None:
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        holds_key = bool(parts.username or parts.password)
        holds_more = bool(parts.query or parts.fragment)
    except ValueError:
        fits, holds_key, holds_more = False, False, False
    if not fits:
        raise ValueError(f"{name} must be an address such as http://127.0.0.1:8000/v1, not {text!r}")
    if holds_key:
        raise ValueError(f"{name} must not hold a user or password: put the key into {KEY_VARIABLE}")
    if holds_more:
        raise ValueError(
            f"{name} must end before ? and #: /chat/completions comes after it, a key is in {KEY_VARIABLE}"
        )


@dataclass(frozen=True, slots=True)
class CaptionService:
    """An OpenAI-compatible service: `url` ends before /chat/completions. The key is never written anywhere."""

    url: str
    model: str
    key: str

    def __repr__(self) -> str:
        return f"CaptionService({self.url!r}, {self.model!r})"

    @property
    def is_on_this_machine(self) -> bool:
        """True for a loopback address."""
        return urlsplit(self.url).hostname in ("127.0.0.1", "::1", "localhost")


def caption_service(settings: MiningSettings, environ: Mapping[str, str] | None = None) -> CaptionService | str:
    """The service that may get pictures, or in words why none may."""
    told = os.environ if environ is None else environ
    if settings.skip_caption:
        return "captions are skipped (skip_caption)"
    if not settings.caption_service:
        return "no caption service is named (caption_service in [mining])"
    url = settings.caption_service
    if url == ENVIRONMENT:
        url = told.get(URL_VARIABLE, "").strip()
        if not url:
            return f'caption_service = "{ENVIRONMENT}", but {URL_VARIABLE} is not set'
        try:
            _check_address(url, URL_VARIABLE)
        except ValueError as error:
            return str(error)
    model = settings.caption_model or told.get(MODEL_VARIABLE, "").strip()
    if not model:
        return f"no caption model is named (caption_model in [mining], or {MODEL_VARIABLE})"
    key = told.get(KEY_VARIABLE, "").strip()
    if not key.isascii() or not key.isprintable():
        return f"{KEY_VARIABLE} holds characters that no key has: set it anew"
    return CaptionService(url.rstrip("/").removesuffix("/chat/completions"), model, key)
