"""G4: small files that unpack to very many pixels are refused before a pixel is decoded, on every path to a decoder.

Two paths lead there: the reading processes, and what decodes later in a run's own process. A third one would be seen by
`decoders_in_use`, which lists every place of the package that calls a decoder.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import lora_assets
from lora_assets.main_line.reading import Reader
from lora_assets.vision.images import ReadSettings
from lora_assets_tests.reliability.goals import Figures, Level, Trials
from lora_assets_tests.reliability.hostile_pictures import bombs

_MOST_MEBIBYTES = 100
_MOST_SECONDS = 1.0
_DECODERS = {("cv2", "imread"), ("cv2", "imdecode"), ("cv2", "imdecodemulti"), ("cv2", "VideoCapture"),
             ("Image", "open"), ("plt", "imread"), ("imageio", "imread"), ("skimage", "imread")}  # fmt: skip

_PROGRAM = """
import json, re, sys, time
from pathlib import Path
from lora_assets.vision.images import ImageRefused, ReadSettings, decode_image, read_file
def most(): return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
import cv2, numpy
if sys.argv[1] == "careless":
    read = lambda path: cv2.imdecode(numpy.frombuffer(Path(path).read_bytes(), numpy.uint8), cv2.IMREAD_COLOR)
else:
    read = lambda path: decode_image(read_file(Path(path)), ReadSettings())
for path in sys.argv[2:]:
    before, began, said = most(), time.monotonic(), ""
    try:
        read(path)
    except ImageRefused as refused:
        said = str(refused)
    print(json.dumps([path, said, time.monotonic() - began, most() - before]), flush=True)
"""


def decoders_in_use() -> set[str]:
    """Modules of the package (by path inside it) that call a decoder by themselves."""
    root = Path(lora_assets.__path__[0])
    found = set()
    for path in root.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if not any(f"{owner}.{name}" in source for owner, name in _DECODERS):
            continue  # parsing all modules takes seconds
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                if isinstance(owner, ast.Name) and (owner.id, node.func.attr) in _DECODERS:
                    found.add(str(path.relative_to(root)))
    return found


def _measured(kind: str, paths: list[Path]) -> list[tuple[str, str, float, float]]:
    """What became of each file in a process of its own: name, reason, seconds, MiB more than before."""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, kind, *map(str, paths)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    return [(Path(path).name, said, seconds, more) for path, said, seconds, more in rows]


def run(level: Level) -> Figures:
    """Measure G4."""
    side = 25_000 if level == "full" else 15_000
    how = f"a PNG of {side} x {side} pixels and headers that claim as much, in a reading process and in a run's own"
    trials = Trials("G4", how, "OpenCV without limits")
    with tempfile.TemporaryDirectory(prefix="lora_assets-bombs-") as made:
        folder = Path(made)
        paths = []
        for name, content in bombs(side):
            paths.append(folder / name)
            paths[-1].write_bytes(content)
        biggest = max(path.stat().st_size for path in paths)
        worst_s = worst_mib = 0.0
        for name, said, seconds, more in _measured("guarded", paths):
            worst_s, worst_mib = max(worst_s, seconds), max(worst_mib, more)
            told = f"{name} in a run's process: {said or 'read'}, {seconds:.2f} s, {more:.0f} MiB"
            trials.check(bool(said) and more <= _MOST_MEBIBYTES, told)
        slowest = 0.0
        reader = Reader(ReadSettings())
        try:
            for path in paths:
                began = time.monotonic()
                answer = reader.read(path)
                slowest = max(slowest, time.monotonic() - began if path is not paths[0] else 0.0)
                trials.check(
                    answer.facts is None and "the decoder" not in answer.reason, f"{path.name}: {answer.reason}"
                )
        finally:
            reader.end()
        small = folder / "small bomb.png"
        small.write_bytes(next(bombs(7_000))[1])
        planted = _measured("careless", [small])
        trials.caught = not planted or (not planted[0][1] and planted[0][3] > _MOST_MEBIBYTES)
        trials.notes += [
            f"the largest file has {biggest / 2**20:.2f} MiB",
            f"worst in a run's process: {worst_s:.2f} s and {worst_mib:.0f} MiB more than before",
            f"slowest in a reading process: {slowest:.2f} s",
        ]
        if level == "full":
            trials.check(worst_s <= _MOST_SECONDS and slowest <= _MOST_SECONDS, f"{worst_s:.2f} s, {slowest:.2f} s")
    return trials.figures()
