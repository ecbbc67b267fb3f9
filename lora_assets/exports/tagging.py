"""The tagger that a tracker's settings name, found and opened. Nothing of it is imported by what the pages read."""

from __future__ import annotations

from pathlib import Path

from lora_assets.exports.captioning import NamedTagger
from lora_assets.exports.settings import CaptionSettings
from lora_assets.models import ModelError, resolve
from lora_assets.models.digests import remembered_sha256
from lora_assets.models.opening import weights_path
from lora_assets.models.registry import find
from lora_assets.store import digest
from lora_assets.vision import tagger

_LISTS = "-tags"
_BESIDE = "selected_tags.csv"


def named_tagger(data: Path, settings: CaptionSettings) -> tuple[NamedTagger | None, str]:
    """The tagger of [caption], or None and why there is none, in words.

    Known weights that were never fetched are no fault. Raises ModelError for a file that is not what its name says, and
    for a path that leads nowhere.
    """
    if not settings.tagger:
        return None, "no tagger is asked for: captions are made of the template alone"
    known = find(settings.tagger)
    if known is not None:
        names = find(f"{known.name}{_LISTS}")
        if names is None:
            raise ModelError(f"{settings.tagger} is no tagger: see lora-assets models list")
        absent = [one.name for one in (known, names) if not weights_path(one, data).is_file()]
        if absent:
            return None, (
                f"the tagger {known.name} is not there, so captions are made of the template alone: "
                + "; ".join(f"lora-assets models pull {name}" for name in absent)
            )
        model, tags = resolve(known.name, data), resolve(names.name, data)
        return _named(known.name, model.path, model.sha256, tags.path, tags.sha256), ""
    path = Path(settings.tagger).expanduser()
    if not path.is_file():
        raise ModelError(
            f"[caption] tagger {settings.tagger!r} is neither a name of lora-assets models list nor a file: name one, "
            'or set tagger = "" for captions without tags'
        )
    beside = next((one for one in (path.with_suffix(".csv"), path.with_name(_BESIDE)) if one.is_file()), None)
    if beside is None:
        raise ModelError(f"{path} has no list of tags beside it: lay its {_BESIDE} there")
    return _named(path.stem, path, remembered_sha256(path, data), beside, remembered_sha256(beside, data)), ""


def _named(name: str, model: Path, model_sha256: str, tags: Path, tags_sha256: str) -> NamedTagger:
    return NamedTagger(
        name,
        digest(tagger.CODE_VERSION, tagger.FLOOR, model_sha256, tags_sha256),
        lambda: tagger.load_tagger(model, tags),
    )
