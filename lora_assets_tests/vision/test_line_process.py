"""Programs that are asked by JSON lines: every way in which one may fail is told in time, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lora_assets.vision import line_process
from lora_assets.vision.line_process import LineProcess, ProcessDied

_HEAD = "import json, os, sys, time\nprint(json.dumps({'settings': json.loads(sys.argv[1])}), flush=True)\n"
_FOREVER = "\ntime.sleep(3600)\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], LineProcess]]:
    """Start a program of some lines, past its line of readiness."""
    made: list[LineProcess] = []

    def start(body: str) -> LineProcess:
        (tmp_path / f"asked_{len(made)}.py").write_text(_HEAD + body)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        process = LineProcess(f"asked_{len(made)}", {"n": 1}, environment)
        made.append(process)
        assert process.line(_in(60)) == {"settings": {"n": 1}}
        return process

    yield start
    for process in made:
        process.close()


def _in(seconds: float) -> float:
    return time.monotonic() + seconds


def test_lines_and_what_follows_them_are_read_apart(start):
    process = start(
        "for line in sys.stdin:\n"
        "    told = json.loads(line)\n"
        "    os.write(1, json.dumps({'length': 3}).encode() + b'\\na\\nb' + json.dumps(told).encode() + b'\\n')\n"
    )
    for number in range(3):
        process.send({"number": number})
        assert process.line(_in(60)) == {"length": 3}
        assert process.content(3, _in(60)) == b"a\nb"
        assert process.line(_in(60)) == {"number": number}


@pytest.mark.parametrize(
    ("body", "how", "code"),
    [
        ("print('Downloading: 100%', flush=True)" + _FOREVER, r"answered nonsense \('Downloading: 100%'\)", None),
        ("print('[1, 2]', flush=True)" + _FOREVER, "answered nonsense", None),
        ("print('[' * 100_000, flush=True)" + _FOREVER, "answered nonsense", None),
        ("os.write(1, b'\\xff\\xfe\\n')" + _FOREVER, "answered nonsense", None),
        ("while True: os.write(1, b'x' * 65536)", "a line without end", None),
        ("os.close(1)" + _FOREVER, "closed its answers", None),
        ("os._exit(3)", r"ended by itself \(code 3\)", 3),
        ("raise RuntimeError('an error that the log shows')", r"ended by itself \(code 1\)", 1),
        ("os.kill(os.getpid(), 11)", r"crashed \(SIGSEGV\)", -signal.SIGSEGV),
        ("os.kill(os.getpid(), 34)", r"crashed \(SIGRTMIN\)", -34),
    ],
)  # fmt: skip
def test_every_death_is_told_and_nothing_is_left(start, monkeypatch, body: str, how: str, code: int | None):
    monkeypatch.setattr(line_process, "_LONGEST_LINE", 1 << 20)
    if "close(1)" in body:
        monkeypatch.setattr(line_process, "_LEAVE_SECONDS", 0.1)
    process = start(body)
    with pytest.raises(ProcessDied, match=how) as died:
        process.line(_in(60))
    assert (died.value.code, died.value.hung) == (code, False)
    monkeypatch.undo()
    process.close()
    assert not Path(f"/proc/{process.pid}").exists(), "it ended, and was waited for"


def test_a_process_without_an_answer_is_hung_and_can_be_closed(start):
    process = start(_FOREVER)
    with pytest.raises(ProcessDied, match="hung") as died:
        process.line(_in(0))
    assert died.value.hung and died.value.code is None
    process.close()
    assert not Path(f"/proc/{process.pid}").exists()
    for ask in (lambda: process.send({}), lambda: process.line(_in(60)), lambda: process.content(1, _in(60))):
        with pytest.raises(ProcessDied, match="SIGKILL"):
            ask()


def test_a_request_to_a_dead_process_is_told(start):
    process = start("os._exit(4)")
    with pytest.raises(ProcessDied, match="code 4"):
        process.line(_in(60))
    with pytest.raises(ProcessDied, match="code 4"):
        process.send({"path": "a"})


def test_who_waits_for_an_answer_learns_of_a_close_by_another_thread(start):
    process = start(_FOREVER)
    told: list[str] = []

    def wait() -> None:
        try:
            process.line(_in(600))
        except ProcessDied as died:
            told.append(str(died))

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    process.close()
    waiting.join(60)
    assert told == ["crashed (SIGKILL)"]


def test_a_program_ends_with_its_parent():
    code = (
        "import os, time\n"
        "from lora_assets.vision.line_process import LineProcess\n"
        "process = LineProcess('lora_assets_tests.tracker.junk_clicks', {})\n"
        "process.send({'tracker': 'T', 'frame': 'f'})\n"
        "print(process.line(time.monotonic() + 60), process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    # The pipe of its errors is inherited: `run` returns only after the child has closed it, too.
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert told.returncode == -signal.SIGKILL
    child = Path("/proc") / told.stdout.split()[-1]
    assert not child.exists() or b"junk_clicks" not in (child / "cmdline").read_bytes()


def test_it_loads_nothing_that_the_page_server_must_not():
    code = (
        "import sys\nfrom lora_assets.vision import line_process, parent_watch, prompt_limits\n"
        "print([m for m in ('torch', 'dagster', 'cv2', 'numpy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
