"""The program of a process that reads videos, one after the other, so that a decoder's crash or hang costs one of them.

`python -m lora_assets.vision.video_child`. Requests come as JSON lines on standard input. Each is answered by lines
with progress, lines with a frame followed by its PNG, and a last one with the facts or the reason why there are none.
Who starts it, and what happens when it dies, is in `lora_assets.main_line.videos`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import cv2
from av import logging
from av.error import FFmpegError

from lora_assets.vision import parent_watch
from lora_assets.vision.images import ImageRefused, ReadSettings, RgbImage
from lora_assets.vision.video import VideoFacts, VideoFrameFound, read_video
from lora_assets.vision.video_settings import VideoSettings

_BASE_BYTES = 4 << 30
_BYTES_PER_PIXEL = 160
"""Reference frames of the decoder in each of its threads, the drawings that wait and the best one, each between its
neighbours, and the PNG."""
_MOST_PIXELS = 36_000_000
"""8K; a larger picture is refused by the limit on memory."""
_PNG_LEVEL = 3
_NO_MEMORY = "a video too large: there is not enough memory to decode it"


def _send(answers: BinaryIO, told: dict[str, Any], tail: bytes = b"") -> None:
    answers.write(json.dumps(told).encode() + b"\n" + tail)
    answers.flush()


def _png(pixels: RgbImage) -> bytes:
    written, content = cv2.imencode(
        ".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL]
    )
    if not written:
        raise MemoryError("a frame cannot be written as PNG")
    return content.tobytes()


def _answer(answers: BinaryIO, path: Path, settings: VideoSettings, limits: ReadSettings) -> None:
    try:
        for told in read_video(path, settings, limits):
            if isinstance(told, VideoFrameFound):
                content = _png(told.pixels)
                facts = {"seconds": round(told.seconds, 3), "index": told.index, "shot": told.shot}
                _send(answers, {"frame": facts, "png": len(content)}, content)
            elif isinstance(told, VideoFacts):
                _send(answers, {"facts": dataclasses.asdict(told)})
            else:
                _send(answers, {"done": told.done, "total": told.total})
    except ImageRefused as refused:
        _send(answers, {"reason": str(refused)})
    except MemoryError:
        _send(answers, {"reason": _NO_MEMORY})
    except (FFmpegError, OSError, ValueError, cv2.error) as error:
        if getattr(error, "code", None) == cv2.Error.StsNoMem:
            _send(answers, {"reason": _NO_MEMORY})
            return
        _send(answers, {"reason": f"a video that cannot be decoded ({type(error).__name__}: {error}); convert it anew"})


def main() -> None:
    """Answer requests until standard input ends."""
    given = json.loads(sys.argv[1])
    settings, limits = VideoSettings(**given["video"]), ReadSettings(**given["read"])
    parent_watch.end_with(int(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "wb")
    # What a decoder prints must not stand among the answers.
    os.dup2(2, 1)
    most = _BASE_BYTES + _MOST_PIXELS * _BYTES_PER_PIXEL
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cv2.setNumThreads(1)
    # With a level, also FATAL, PyAV takes Python's lock in the decoder's threads, and waits for ever when these end
    # while a video that was refused is closed. Without one it prints nothing.
    logging.set_level(None)
    _send(answers, {"ready": os.getpid()})
    for line in sys.stdin.buffer:
        _answer(answers, Path(json.loads(line)["path"]), settings, limits)


if __name__ == "__main__":
    main()
