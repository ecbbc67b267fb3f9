"""The process that decodes videos, as seen by who started it: its answers, its silence and its death.

A video that crashes or hangs the decoder costs itself; a death is told apart from a refusal, since the kill may have
come from outside. What the process does is in vision.video_child, what becomes of its answers in videos.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lora_assets.store import StoreError
from lora_assets.vision.images import ReadSettings
from lora_assets.vision.line_process import LineProcess, ProcessDied
from lora_assets.vision.video_settings import VideoSettings

VIDEO_CHILD = "lora_assets.vision.video_child"
_START_SECONDS = 120.0
_SILENT_SECONDS = 120.0
"""A decoder that says nothing for so long hangs; it tells of every 50 frames."""


class VideoRefused(ValueError):
    """A video that gives no frames; the text is the reason."""


class DecoderDied(VideoRefused):
    """The decoder died of a video, or was killed from outside."""


class VideoReader:
    """The process that decodes, started when the first video is read and again after it died."""

    def __init__(self, settings: VideoSettings, limits: ReadSettings, program: str = VIDEO_CHILD) -> None:
        self._given = {"video": dataclasses.asdict(settings), "read": dataclasses.asdict(limits)}
        self._program = program
        self._process: LineProcess | None = None

    def read(self, file: Path) -> Iterator[dict[str, Any]]:
        """The answers of the process for one video, `png` as bytes.

        Raises VideoRefused, also for a video that crashes or hangs the decoder, and StoreError when no process can be
        started.
        """
        process = self._running()
        try:
            process.send({"path": str(file)})
            while True:
                told = process.line(time.monotonic() + _SILENT_SECONDS)
                if "reason" in told:
                    raise VideoRefused(str(told["reason"]))
                if "png" in told:
                    told["png"] = process.content(int(told["png"]), time.monotonic() + _SILENT_SECONDS)
                yield told
                if "facts" in told:
                    return
        except ProcessDied as died:
            self.close()
            if died.hung:
                raise VideoRefused(
                    f"hangs the decoder: silent for {_SILENT_SECONDS:g} seconds; convert it anew"
                ) from died
            raise DecoderDied(f"the decoder {died} reading it, twice; convert it with another program") from died
        except GeneratorExit:
            self.close()  # nobody reads what it still says
            raise

    def _running(self) -> LineProcess:
        if self._process is None:
            try:
                self._process = LineProcess(self._program, self._given)
                self._process.line(time.monotonic() + _START_SECONDS)
            except (OSError, ProcessDied) as error:
                self.close()
                raise StoreError(
                    f"no process could be started to read videos ({error}); free memory, then run again"
                ) from error
        return self._process

    def close(self) -> None:
        """End the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
