"""G3: pictures of which a part has not arrived: cut off, or of full size with zeros for the rest. None may be taken in.

Every encoding at many positions, and whole pictures of every encoding, which must all be taken: a rule that refuses
everything would pass otherwise.
"""

from __future__ import annotations

import warnings
from unittest import mock

import numpy as np
from PIL import Image

from lora_assets.vision import images
from lora_assets.vision.images import ImageRefused, decode_image
from lora_assets_tests.conftest import TEST_IMAGES
from lora_assets_tests.reliability.goals import Figures, Level, Trials
from lora_assets_tests.reliability.hostile_pictures import ENCODINGS, cuts, drawn_picture

_REAL_PICTURES = 400
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def _is_taken(content: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decode_image(content)
    except ImageRefused:
        return False
    return True


def _may_be_a_black_bar(name: str, at: int, size: int, width: int) -> bool:
    """True where zeros for the rest of a BMP cannot be told from black rows: they begin with a row, or are a few."""
    stride = (width * 3 + 3) // 4 * 4
    return name == "BMP" and (-(at - 54) % stride < 7 or size - at < 64)


def _whole_pictures() -> list[tuple[str, bytes]]:
    found = []
    for encoding in ENCODINGS:
        found += [(encoding.name, encoding.encode(drawn_picture(160, 120, seed))) for seed in range(3)]
        bars = np.array(drawn_picture(160, 120, 9))
        bars[:20] = bars[-20:] = 0
        found.append((f"{encoding.name} with black bars", encoding.encode(Image.fromarray(bars))))
        found.append((f"{encoding.name}, one colour", encoding.encode(Image.new("RGB", (160, 120), (0, 0, 0)))))
    return found


def _cut_all(size: tuple[int, int], positions: int, trials: Trials) -> int:
    """Try every encoding, cut off and with zeros, at many positions; how many were left out as doubtful."""
    doubtful = 0
    for encoding in ENCODINGS:
        whole = encoding.encode(drawn_picture(*size, 7))
        for at in cuts(len(whole), positions):
            for name, content in (("cut", whole[:at]), ("zeros", whole[:at] + bytes(len(whole) - at))):
                if name == "zeros" and _may_be_a_black_bar(encoding.name, at, len(whole), size[0]):
                    doubtful += 1
                    continue
                trials.check(not _is_taken(content), f"{encoding.name}, {name} at {at} of {len(whole)} was taken in")
    return doubtful


def run(level: Level) -> Figures:
    """Measure G3."""
    size, positions = ((900, 1200), 60) if level == "full" else ((160, 120), 8)
    trials = Trials(
        "G3",
        f"{len(ENCODINGS)} encodings of one {size[0]} x {size[1]} picture x {positions} positions x cut off, zeros",
        "no check of a picture's end: what a decoder reads is good",
    )  # fmt: skip
    doubtful = _cut_all(size, positions, trials)
    trials.notes.append(f"{doubtful} more that a black bar of a BMP looks like: told by two looks only, see G9")
    planted = Trials(trials.goal, trials.how, trials.seeded_fault)
    with mock.patch.object(images, "_check_end", lambda *_: None):
        _cut_all((160, 120), 8, planted)
    trials.caught = planted.failed > 0
    trials.notes.append(f"without the check of a picture's end {planted.failed} of {planted.tried} are taken")
    refused = 0
    whole = _whole_pictures()
    for name, content in whole:
        refused += not _is_taken(content)
        trials.check(_is_taken(content), f"whole {name} was refused")
    there = [path for name in ("anime", "film") for path in sorted((TEST_IMAGES / name).glob("*.*"))]
    real = [path for path in there if path.suffix.lower() in _SUFFIXES][:_REAL_PICTURES] if level == "full" else []
    for path in real:
        trials.check(_is_taken(path.read_bytes()), f"the real picture {path.name} was refused")
    trials.notes.append(f"{len(whole)} drawn and {len(real)} real whole pictures among the trials")
    return trials.figures()
