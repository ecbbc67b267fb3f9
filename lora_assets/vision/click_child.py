"""The program of a clicking process: keeps a segmenter and a few open pictures, and answers each click from them.

`python -m lora_assets.vision.click_child SETTINGS PARENT`. Requests come as JSON lines on standard input, each is
answered by one JSON line, which also tells which pictures are held ready after it. The page server must not know torch,
and a model that crashes, hangs or eats memory must not take the pages along: who starts this, and what happens when it
dies, is in `lora_assets.tracker.clicking`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import resource
import secrets
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lora_assets.models import ModelError
from lora_assets.run_lengths import run_lengths
from lora_assets.specs import SpecError, read_tracker, section_settings
from lora_assets.store import StoreError
from lora_assets.vision import images, parent_watch
from lora_assets.vision.device import device
from lora_assets.vision.images import ImageRefused, ReadSettings
from lora_assets.vision.masks import mask_bounds
from lora_assets.vision.prompted import Candidates, Embedding, Prompted, PromptError, open_prompted
from lora_assets.vision.segment import SegmentSettings

_KEPT_ANSWERS = 64
# The bytes passed the limits of their dataset when they were listed.
_LISTED = ReadSettings(min_side=1, max_megapixels=1000)


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """data: the project's data folder. most_embeddings, most_embedding_bytes: open pictures are let go, oldest first,
    beyond these. memory_bytes: address space of the process on a CPU, beyond which it fails instead of the machine;
    0: no limit."""

    data: str
    most_embeddings: int = 4
    most_embedding_bytes: int = 2 << 30
    memory_bytes: int = 0


@dataclass(slots=True)
class OpenPicture:
    """A picture that is clicked on: its embedding, the trackers it was asked for by, and what its last answers left for
    the next click."""

    model: Prompted
    embedding: Embedding
    trackers: set[str] = field(default_factory=set)
    carry: OrderedDict[int, tuple[Any, ...]] = field(default_factory=OrderedDict)


class Refused(ValueError):
    """A request that cannot be answered; the text says why and the way out."""


class Clicks:
    """What the process keeps: one model, and the pictures embedded by it."""

    def __init__(self, settings: ChildSettings, opener: Callable[[str, Path], Prompted] = open_prompted) -> None:
        self._settings = settings
        self._opener = opener
        self._data = Path(settings.data)
        self._model: Prompted | None = None
        self._model_key = ""
        self._pictures: OrderedDict[tuple[str, str], OpenPicture] = OrderedDict()
        # A page outlives the process and names answers of the one before: their numbers must mean nothing to this one.
        self._answers = secrets.randbits(40)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises Refused, and PromptError for a prompt that does not fit."""
        begun = time.perf_counter()
        told = {"open": self._open, "ask": self._ask}[request["do"]](request)
        return {**told, "ms": round(1000 * (time.perf_counter() - begun), 2)}

    def held(self) -> list[tuple[str, str]]:
        """The pictures that are ready, as tracker and frame: another tracker's model would embed the frame again."""
        return [(tracker, frame) for (_, frame), one in self._pictures.items() for tracker in sorted(one.trackers)]

    def _segmenter(self, tracker: str) -> Prompted:
        """The segmenter of a tracker; one model is kept at a time."""
        try:
            name = section_settings(SegmentSettings, read_tracker(self._data, tracker), "segment").weights
        except SpecError:
            # A tracker whose file is gone is still shown, and may be clicked on.
            name = SegmentSettings().weights
        if self._model is None or self._model_key != name:
            self._pictures.clear()
            self._model, self._model_key = None, ""
            self._model = self._opener(name, self._data)
            self._model_key = name
        return self._model

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        """Embed a frame, unless it is embedded already."""
        try:
            model = self._segmenter(request["tracker"])
        except (ModelError, StoreError) as error:
            raise Refused(str(error)) from error
        key = (self._model_key, request["frame"])
        if key in self._pictures:
            self._pictures.move_to_end(key)
            found = self._pictures[key].embedding
        else:
            found = model.embed(_pixels(request))
            self._pictures[key] = OpenPicture(model, found)
            self._let_go()
        self._pictures[key].trackers.add(request["tracker"])
        return {"model": model.name, "width": found.width, "height": found.height, "pictures": len(self._pictures)}

    def _let_go(self) -> None:
        limits = self._settings
        while len(self._pictures) > 1 and (
            len(self._pictures) > limits.most_embeddings
            or sum(one.embedding.size for one in self._pictures.values()) > limits.most_embedding_bytes
        ):
            self._pictures.popitem(last=False)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        opened = self._open(request)
        picture = self._pictures[self._model_key, request["frame"]]
        answer, place = request.get("after") or (0, 0)
        carried = picture.carry.get(answer, ())
        found = picture.model.predict(
            picture.embedding,
            points=request.get("points", ()),
            labels=request.get("labels", ()),
            box=request.get("box"),
            mask_input=carried[place] if 0 <= place < len(carried) else None,
        )
        self._answers += 1
        picture.carry[self._answers] = found.carry
        while len(picture.carry) > _KEPT_ANSWERS:
            picture.carry.popitem(last=False)
        return {**opened, "answer": self._answers, "candidates": told_candidates(found)}


def told_candidates(found: Candidates) -> list[dict[str, Any]]:
    """Candidates as JSON values: score, area, and the mask's window (x, y, width, height) with alternating run lengths
    of False and True in it, column by column; an empty mask has no window."""
    told = []
    for mask, score in zip(found.masks, found.scores, strict=True):
        window = mask_bounds(mask)
        if window is None:
            told.append({"score": float(score), "area": 0, "window": None, "runs": []})
            continue
        x, y, width, height = window
        pixels = mask[y : y + height, x : x + width]
        runs = run_lengths(pixels)
        told.append({"score": float(score), "area": int(np.count_nonzero(pixels)), "window": window, "runs": runs})
    return told


def _pixels(request: dict[str, Any]) -> images.RgbImage:
    """The frame's pixels, only while its file still holds the bytes of its hash."""
    path = Path(request["path"])
    try:
        content = images.read_file(path)
        if hashlib.sha256(content).hexdigest() != request["frame"]:
            raise Refused(f"{path.name} changed after it was listed: the next run takes its new content")
        return images.decode_image(content, _LISTED).pixels
    except ImageRefused as error:
        raise Refused(f"{path.name}: {error}") from error


def _answered(clicks: Clicks, line: bytes) -> dict[str, Any]:
    try:
        return clicks.answer(json.loads(line))
    except PromptError as error:
        return {"error": str(error), "kind": "prompt"}
    except Refused as error:
        return {"error": str(error), "kind": "refused"}
    except MemoryError:
        return {"error": "there is not enough memory for this picture and its model", "kind": "refused"}
    except RuntimeError as error:
        # Torch tells of memory that it could not get in this way.
        return {"error": f"the model failed: {' '.join(str(error).split())[:300]}", "kind": "refused"}


def main(opener: Callable[[str, Path], Prompted] = open_prompted) -> None:
    """Answer requests until standard input ends."""
    settings = ChildSettings(**json.loads(sys.argv[1]))
    parent_watch.end_with(int(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not stand among the answers.
    os.dup2(2, 1)
    if settings.memory_bytes and device() == "cpu":
        # A GPU's driver maps more addresses than there is memory.
        resource.setrlimit(resource.RLIMIT_AS, (settings.memory_bytes, settings.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cv2.setNumThreads(1)
    clicks = Clicks(settings, opener)

    def send(told: dict[str, Any]) -> None:
        answers.write(json.dumps(told).encode() + b"\n")
        answers.flush()

    send({"ready": os.getpid(), **dataclasses.asdict(settings)})
    for line in sys.stdin.buffer:
        told = _answered(clicks, line)
        send({**told, "held": clicks.held()})


if __name__ == "__main__":
    main()
