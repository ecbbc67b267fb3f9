"""Which family of model a weights file holds, told from its bytes without loading or unpickling anything.

What belongs elsewhere: which Segment Anything size it is, and whether the file is sound (vision, when it opens it).
"""

from __future__ import annotations

import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lora_assets.models.registry import (
    LAMA_ONNX,
    MOBILE_SAM,
    SALIENCY_ONNX,
    SAM,
    SAM2,
    STARTER_SAM,
    YOLO_ONNX,
    YOLO_PT,
    ModelError,
)

_PEEK_BYTES = 16 * 1024 * 1024
# What a damaged file makes the readers below raise; RuntimeError for a way of packing that they do not know.
_DAMAGED = (
    OSError, ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
_KNOWN_SUFFIXES = (".pt", ".pth", ".onnx", ".safetensors")
# Field numbers of onnx.proto: ModelProto.graph, GraphProto.output, ValueInfoProto.type, TypeProto.tensor_type, shape.
_ONNX_OUTPUT_SHAPE = (7, 12, 2, 1, 2)
_ONNX_DIMENSION = 1
# ModelProto.graph, GraphProto.input, ValueInfoProto.name.
_ONNX_INPUT_NAME = (7, 11, 1)
_LAMA_INPUTS = {"image", "mask"}
_LONGEST_NAME = 256
_PICTURE_RANK = 4
# TensorProto.external_data of: GraphProto.initializer, its sparse_initializer, NodeProto.attribute.t, and the
# initializers of a graph in an attribute (a branch, a loop).
_ONNX_EXTERNAL_DATA = ((7, 5, 13), (7, 15, 1, 13), (7, 1, 5, 5, 13), (7, 1, 5, 6, 5, 13))


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


def _varint(handle: BinaryIO) -> int:
    value = 0
    for shift in range(0, 64, 7):
        byte = handle.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("not protobuf")


def _messages(handle: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Number and end of each protobuf field with a length, with the handle at its start; nothing else is read."""
    while handle.tell() < end:
        key = _varint(handle)
        if key & 7 == 0:
            _varint(handle)
        elif key & 7 in (1, 5):
            handle.seek(8 if key & 7 == 1 else 4, 1)
        else:
            length = _varint(handle)
            stop = handle.tell() + length
            if key & 7 != 2 or stop > end:
                raise ValueError("not protobuf")
            yield key >> 3, stop
            handle.seek(stop)


def _inside(handle: BinaryIO, end: int, numbers: tuple[int, ...]) -> Iterator[int]:
    """The ends of the fields that lie at a path of field numbers, with the handle at the start of each."""
    for number, stop in _messages(handle, end):
        if number == numbers[0]:
            yield from (stop,) if len(numbers) == 1 else _inside(handle, stop, numbers[1:])


def _onnx_input_names(path: Path) -> set[str]:
    """The names of the inputs of an ONNX file; none when the file does not say."""
    try:
        with path.open("rb") as handle:
            size = path.stat().st_size
            return {
                handle.read(min(stop - handle.tell(), _LONGEST_NAME)).decode("utf-8", "replace")
                for stop in _inside(handle, size, _ONNX_INPUT_NAME)
            }
    except ValueError:
        return set()


def _onnx_output_rank(path: Path) -> int | None:
    """How many dimensions the first output of an ONNX file has; None when the file does not say."""
    try:
        with path.open("rb") as handle:
            for stop in _inside(handle, path.stat().st_size, _ONNX_OUTPUT_SHAPE):
                return sum(number == _ONNX_DIMENSION for number, _ in _messages(handle, stop))
    except ValueError:
        return None
    return None


def refuse_external_data(path: Path) -> None:
    """Raise ModelError for an ONNX file that keeps weights in other files: its hash would tell nothing of them, and it
    may name any file of this machine."""
    if path.suffix.lower() != ".onnx":
        return
    size = path.stat().st_size
    for numbers in _ONNX_EXTERNAL_DATA:
        try:
            with path.open("rb") as handle:
                outside = next(_inside(handle, size, numbers), None)
        except ValueError:
            return
        if outside is not None:
            raise ModelError(
                f"{path} keeps a part of its weights in another file, which its hash does not tell of; it was not "
                "opened. Save it as one file (onnx.save_model(model, path, save_as_external_data=False))"
            )


def guess_family(path: Path) -> str:
    """The family of a weights file: yolo-pt, yolo-onnx, saliency-onnx, lama-onnx, sam, mobile-sam, starter-sam or
    sam2.

    Raises ModelError when the suffix or the content is none that can be opened.
    """
    suffix = path.suffix.lower()
    if suffix not in _KNOWN_SUFFIXES:
        raise ModelError(f"{path}: weights end in {', '.join(_KNOWN_SUFFIXES)}, not in {suffix or 'nothing'}")
    if suffix == ".onnx":
        # LaMa takes the hole beside the picture. Else a picture out, batch x channels x height x width, is a
        # salient-object network; boxes come as three dimensions.
        if _onnx_input_names(path) >= _LAMA_INPUTS:
            return LAMA_ONNX
        return SALIENCY_ONNX if _onnx_output_rank(path) == _PICTURE_RANK else YOLO_ONNX
    try:
        text = _safetensors_names(path) if suffix == ".safetensors" else _pickle_text(path)
    except _DAMAGED as error:
        told = str(error) or type(error).__name__
        raise ModelError(f"{path} is damaged or unreadable ({told}): fetch or copy the file again") from error
    if b"prompt_encoder." in text and b"image_encoder." in text:
        if b"image_encoder.patch_embed.proj." in text:
            return SAM
        return MOBILE_SAM
    if b"mask_decoder.network.downs." in text:
        return STARTER_SAM
    if suffix == ".safetensors" and b"vision_encoder.backbone.blocks." in text and b"mask_decoder." in text:
        return SAM2
    if b"image_encoder.trunk." in text:
        raise ModelError(
            f"{path} is a SAM 2 checkpoint in the form of its authors: take the same model in the form of "
            "transformers, a folder with config.json and model.safetensors (for example facebook/sam2.1-hiera-tiny)"
        )
    if suffix != ".safetensors" and (b"ultralytics" in text or b"models.yolo" in text):
        return YOLO_PT
    raise ModelError(
        f"{path} holds neither a YOLO model of Ultralytics nor a Segment Anything model: "
        "choose other weights, see lora-assets models list"
    )
