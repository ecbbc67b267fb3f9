"""The program of a reading process: files to frame facts, one by one, so that a decoder's crash costs one file.

`python -m lora_assets.vision.reading_child`. Requests come as JSON lines on standard input; each is answered by a JSON
line with the content's hash before anything is decoded, then by one with the facts or the reason, followed by the
thumbnail's bytes. Who starts it, and what happens when it dies, is in `lora_assets.main_line.reading`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import cv2

from lora_assets.vision import images, parent_watch
from lora_assets.vision.images import ImageRefused, ReadSettings

_BASE_BYTES = 2 << 30
_BYTES_PER_PIXEL = 16


def memory_limit(settings: ReadSettings) -> int:
    """Bytes of address space that reading the largest allowed picture may take: the libraries' own 2 GiB, and 16 for
    each pixel (decoded at 16 bits, converted, and laid over white)."""
    return _BASE_BYTES + int(settings.max_megapixels * 1e6) * _BYTES_PER_PIXEL


def _send(answers: BinaryIO, told: dict[str, Any], tail: bytes = b"") -> None:
    answers.write(json.dumps(told).encode() + b"\n" + tail)
    answers.flush()


def _answer(answers: BinaryIO, path: Path, settings: ReadSettings) -> None:
    """Answer one request: the hash as soon as the bytes are read, so that a crash is remembered for this content."""
    try:
        content = images.read_file(path)
        _send(answers, {"sha256": hashlib.sha256(content).hexdigest()})
        decoded = images.decode_image(content, settings)
        facts = images.frame_facts(decoded.pixels, decoded.format)
        thumb = images.thumbnail_webp(decoded.pixels)
    except ImageRefused as refused:
        _send(answers, {"reason": str(refused)})
        return
    except MemoryError:
        _send(answers, {"reason": "too large: there is not enough memory to read it"})
        return
    _send(answers, {"facts": dataclasses.asdict(facts), "thumb": len(thumb)}, thumb)


def main() -> None:
    """Answer requests until standard input ends."""
    settings = ReadSettings(**json.loads(sys.argv[1]))
    parent_watch.end_with(int(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "wb")
    # What a decoder prints must not stand among the answers.
    os.dup2(2, 1)
    limit = memory_limit(settings)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cv2.setNumThreads(1)
    _send(answers, {"ready": os.getpid()})
    for line in sys.stdin.buffer:
        _answer(answers, Path(json.loads(line)["path"]), settings)


if __name__ == "__main__":
    main()
