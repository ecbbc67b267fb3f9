"""What a person may say of captions and exports: the sections [caption] and [export] of a tracker's file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lora_assets.exports.caption_text import check_template
from lora_assets.exports.tag_lists import PRUNE_GROUPS
from lora_assets.specs import TrackerSpec, section_settings

FORMATS = (
    "kohya",
    "kohya-masks",
    "kohya-alpha",
    "kohya-finetune",
    "onetrainer",
    "ai-toolkit",
    "diffusion-pipe",
    "huggingface",
    "coco",
    "yolo",
    "yolo-detect",
)
"""Names of the layouts that can be written."""

WINDOW, FLAT, ALPHA = "window", "flat", "alpha"
PICTURES = (WINDOW, FLAT, ALPHA)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_WORDS = re.compile(r"[^\x00-\x1f\x7f/\\<>:\"|?*,]*")
_MOST_REPEATS = 10_000


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Section [export]: which formats, what the pictures are, and how the trainer is to bring them to size.

    formats: names of FORMATS. trigger: the word that captions begin with, "" for the tracker's ID in small letters;
    class_word: what kind of thing it is. repeats: how often a picture is shown in an epoch, on the average; 0: as the
    curated dataset recommends, or 10 where there is none; what it says of single crops stays in proportion.
    picture: "window" (the frame as it is around the crop), "flat" (the cut-out on `ground`) or "alpha" (the cut-out
    with its alpha). margin: share of width and height added on each side, inside the frame; where a trainer would still
    cut off more of a head or a mask than is allowed, the window grows, and past the frame's edge `ground` is added.
    mask_dilation: how far masks are widened, in
    pixels of the trained size (8 of them are one latent cell). resolution: side of the square whose area is trained;
    bucket_step, least_bucket (0: a quarter of the resolution),
    largest_bucket (0: twice the resolution): the sides that buckets may have; divisor: what
    ai-toolkit's sizes are multiples of. validation_share: of the groups of alike crops, where no curated dataset says.
    character: only this character (id or name). most_head_cut, most_mask_cut: shares that a trainer's crop may take
    from a head and from a mask before that is a loss. trainer_root: the folder's place on the machine that trains, "":
    here. polygons: COCO outlines instead of run lengths. Raises ValueError for a setting that does not fit.
    """

    formats: tuple[str, ...] = ("kohya", "onetrainer", "ai-toolkit")
    trigger: str = ""
    class_word: str = "character"
    repeats: float = 0.0
    picture: str = WINDOW
    ground: str = "#ffffff"
    margin: float = 0.08
    mask_dilation: float = 8.0
    resolution: int = 1024
    batch_size: int = 1
    bucket_step: int = 64
    least_bucket: int = 0
    largest_bucket: int = 0
    divisor: int = 16
    validation_share: float = 0.1
    character: str = ""
    most_head_cut: float = 0.05
    most_mask_cut: float = 0.1
    trainer_root: str = ""
    polygons: bool = False

    def __post_init__(self) -> None:
        self._check_names()
        _check_range("repeats", self.repeats, 0.0, _MOST_REPEATS)
        _check_range("margin", self.margin, 0.0, 1.0)
        _check_range("mask_dilation", self.mask_dilation, 0.0, 256.0)
        for name, low, high in (
            ("resolution", 128, 8192), ("batch_size", 1, 4096), ("bucket_step", 8, 1024), ("least_bucket", 0, 8192),
            ("largest_bucket", 0, 16384), ("divisor", 8, 128),
        ):  # fmt: skip
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} must be a whole number, not {getattr(self, name)!r}")
            _check_range(name, getattr(self, name), low, high)
        if self.bucket_step > self.resolution:
            raise ValueError(
                f"bucket_step {self.bucket_step} is larger than the resolution {self.resolution}, so no bucket fits: "
                "lower it (64 is usual), or raise the resolution"
            )
        for name in ("validation_share", "most_head_cut", "most_mask_cut"):
            _check_range(name, getattr(self, name), 0.0, 1.0)
        if not isinstance(self.polygons, bool):
            raise ValueError("polygons must be true or false")

    def _check_names(self) -> None:
        if isinstance(self.formats, str) or not self.formats:
            raise ValueError(f"formats must be a list of one or more of {', '.join(FORMATS)}")
        for name in self.formats:
            if name not in FORMATS:
                raise ValueError(f"unknown format {name!r}; known: {', '.join(FORMATS)}")
        if self.picture not in PICTURES:
            raise ValueError(f"picture must be one of {', '.join(PICTURES)}, not {self.picture!r}")
        if not isinstance(self.ground, str) or not _COLOUR.fullmatch(self.ground):
            raise ValueError(f"ground must be a colour such as #ffffff, not {self.ground!r}")
        for name in ("trigger", "class_word"):
            word = getattr(self, name)
            if not isinstance(word, str) or not _WORDS.fullmatch(word) or word != word.strip() or len(word) > 60:
                raise ValueError(
                    f"{name} {word!r} does not fit: up to 60 characters on one line, without commas and without "
                    "characters that no folder's name may hold"
                )
        if not all(isinstance(text, str) for text in (self.character, self.trainer_root)):
            raise ValueError("character and trainer_root must be texts")

    def trigger_for(self, tracker: str) -> str:
        """The trigger, or the tracker's ID in small letters where none is given."""
        return self.trigger or tracker.lower()

    @property
    def shortest_bucket(self) -> int:
        """The shortest side of a bucket, pixels: a multiple of the step."""
        least = self.least_bucket or self.resolution // 4
        return max(1, min(least, self.resolution) // self.bucket_step) * self.bucket_step

    @property
    def longest_bucket(self) -> int:
        """The longest side of a bucket, pixels."""
        return max(self.largest_bucket or 2 * self.resolution, self.resolution)


@dataclass(frozen=True, slots=True)
class CaptionSettings:
    """Section [caption]: the template, the tagger and its thresholds, what is pruned, where one's own captions lie.

    template: text with the places of caption_text.PLACES. tagger: a name of the weights' list, or the path of an ONNX
    file with its selected_tags.csv beside it; "" for none. look_at: what the tagger sees, "window" or "cutout" (on
    white). prune: groups of tag_lists.PRUNE_GROUPS; also and keep: single tags (with * as any text) to prune besides
    and to keep in spite. spaces: underscores become spaces, but not in smileys. escape_brackets: ( and ) are written
    \\( and \\). most_tags: the surest so many. own: a file of one's own captions, "" for data/captions/DATASET.jsonl or
    .csv where there is one. beside: also read .txt files beside the frames. Raises ValueError for what does not fit.
    """

    template: str = "{trigger}, {class_word}, {framing}, {tags}"
    tagger: str = "wd-swinv2-v3"
    general_threshold: float = 0.35
    character_threshold: float = 0.85
    look_at: str = "window"
    prune: tuple[str, ...] = ("hair", "eyes", "body", "names", "picture")
    also: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    spaces: bool = True
    escape_brackets: bool = False
    most_tags: int = 40
    own: str = ""
    beside: bool = True

    def __post_init__(self) -> None:
        check_template(self.template)
        for name in ("general_threshold", "character_threshold"):
            _check_range(name, getattr(self, name), 0.1, 1.0)
        if self.look_at not in ("window", "cutout"):
            raise ValueError(f"look_at must be window or cutout, not {self.look_at!r}")
        for name in ("prune", "also", "keep"):
            told = getattr(self, name)
            if isinstance(told, str) or not all(isinstance(one, str) for one in told):
                raise ValueError(f"{name} must be a list of texts")
        if unknown := sorted(set(self.prune) - set(PRUNE_GROUPS)):
            raise ValueError(f"prune: unknown group {', '.join(unknown)}; known: {', '.join(PRUNE_GROUPS)}")
        if type(self.most_tags) is not int or self.most_tags < 0:
            raise ValueError(f"most_tags must be a whole number from 0, not {self.most_tags!r}")
        if not all(isinstance(flag, bool) for flag in (self.spaces, self.escape_brackets, self.beside)):
            raise ValueError("spaces, escape_brackets and beside must be true or false")
        if not isinstance(self.tagger, str) or not isinstance(self.own, str):
            raise ValueError("tagger and own must be texts")


def _check_range(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")


def export_settings(spec: TrackerSpec) -> ExportSettings:
    """Section [export] of a tracker. Raises SpecError naming the entry that does not fit."""
    return section_settings(ExportSettings, spec, "export")


def caption_settings(spec: TrackerSpec) -> CaptionSettings:
    """Section [caption] of a tracker. Raises SpecError naming the entry that does not fit."""
    return section_settings(CaptionSettings, spec, "caption")
