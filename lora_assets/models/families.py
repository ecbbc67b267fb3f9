"""Which family of model a weights file holds, told from its bytes without loading or unpickling anything.

What belongs elsewhere: which Segment Anything size it is, and whether the file is sound (vision, when it opens it).
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from lora_assets.models.registry import MOBILE_SAM, SAM, STARTER_SAM, YOLO_ONNX, YOLO_PT, ModelError

_PEEK_BYTES = 16 * 1024 * 1024
_KNOWN_SUFFIXES = (".pt", ".pth", ".onnx", ".safetensors")


def _pickle_text(path: Path) -> bytes:
    """The program of a torch file (module and tensor names are plain text in it); never run, only searched."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next((n for n in archive.namelist() if n.endswith("data.pkl")), None)
            if name is None:
                return b""
            with archive.open(name) as member:
                return member.read(_PEEK_BYTES)
    with path.open("rb") as handle:
        return handle.read(_PEEK_BYTES)


def _safetensors_names(path: Path) -> bytes:
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        header = handle.read(min(length, _PEEK_BYTES))
    return "\n".join(json.loads(header)).encode()


def guess_family(path: Path) -> str:
    """The family of a weights file: yolo-pt, yolo-onnx, sam, mobile-sam or starter-sam.

    Raises ModelError when the suffix or the content is none that can be opened.
    """
    suffix = path.suffix.lower()
    if suffix not in _KNOWN_SUFFIXES:
        raise ModelError(f"{path}: weights end in {', '.join(_KNOWN_SUFFIXES)}, not in {suffix or 'nothing'}")
    if suffix == ".onnx":
        return YOLO_ONNX
    try:
        text = _safetensors_names(path) if suffix == ".safetensors" else _pickle_text(path)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is damaged or unreadable ({error}): fetch or copy the file again") from error
    if b"prompt_encoder." in text and b"image_encoder." in text:
        if b"image_encoder.patch_embed.proj." in text:
            return SAM
        return MOBILE_SAM if b"image_encoder.patch_embed.seq." in text else STARTER_SAM
    if suffix != ".safetensors" and (b"ultralytics" in text or b"models.yolo" in text):
        return YOLO_PT
    raise ModelError(
        f"{path} holds neither a YOLO model of Ultralytics nor a Segment Anything model: "
        "choose other weights, see lora-assets models list"
    )
