"""G8: marks sent side by side while the server is killed again and again; and the order of disk and answer.

Clients send numbered marks and send each again, with the same request id, until it is answered. Afterwards the log must
hold every answered mark once, as it was sent. A kill does not lose what the kernel has, so that the second half looks
at system calls: between the arrival of a mark and its answer there must be an fdatasync of the write-ahead log. On a
system without strace the same is seen where SQLite meets the disk, for the log of corrections as well.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from lora_assets.store import Store
from lora_assets.verdicts import open_log
from lora_assets.verdicts.corrections import CorrectionLog, corrections_path
from lora_assets_tests.reliability.goals import Figures, Level
from lora_assets_tests.reliability.web_asking import Nursery, free_port, nursery, until_listening
from lora_assets_tests.tracker.drawn_data import JAPANESE, TRACKER, dataset_slug, make_data
from lora_assets_tests.verdicts.marks import a_correction, a_mark
from lora_assets_tests.verdicts.watched_disk import leave_out_syncs, synced_when_taken, watched_disk

_URL = f"/api/tracker/{TRACKER}/verdicts"
_CLIENTS = 8
_VALUES = ("good", "bad", "exclude")
_HEADERS = {"Sec-Fetch-Site": "same-origin", "X-Lora-Assets": "1", "Content-Type": "application/json"}
_GIVEN_UP_S = 60.0
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class _Size:
    marks: int
    kills: int
    faulty_marks: int
    faulty_kills: int
    traced: int
    watched: int


_SIZES: dict[Level, _Size] = {"quick": _Size(120, 3, 60, 2, 0, 30), "full": _Size(10_000, 60, 600, 8, 300, 1_000)}


@dataclass(slots=True)
class _Sent:
    """What clients were told: for each number of a mark, how often it was sent and whether it was answered."""

    answered: dict[int, tuple[str, str]] = field(default_factory=dict)
    sent_again: int = 0
    refused: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    progress: threading.Condition = field(default_factory=threading.Condition)


def _client(port: int, numbers: SimpleQueue[int], crops: list[str], sent: _Sent, stop: threading.Event) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with suppress(Empty):
        while not stop.is_set():
            number = numbers.get_nowait()
            crop, value = crops[number % len(crops)], _VALUES[number % len(_VALUES)]
            mark = {"crop": crop, "value": value, "note": f"mark {number}"}
            body = json.dumps({"request_id": f"mark-{number:08}", "marks": [mark]})
            while not stop.is_set():
                try:
                    connection.request("POST", _URL, body, _HEADERS)
                    answer = connection.getresponse()
                    told = answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    with sent.lock:
                        sent.sent_again += 1
                    time.sleep(0.005)
                    continue
                if answer.status == 200 and not json.loads(told)["refused"]:
                    with sent.progress:
                        sent.answered[number] = (crop, value)
                        sent.progress.notify_all()
                    break
                with sent.lock:
                    sent.refused.append(f"{answer.status} {told[:200]!r}")
                if answer.status < 500:
                    break
    connection.close()


def _send_under_kills(
    nest: Nursery, server: str, data: Path, crops: list[str], marks: int, kills: int, seed: int
) -> _Sent:
    """Send `marks` marks from several clients; kill the server `kills` times, after some more were answered."""
    chance, sent, stop, port = random.Random(seed), _Sent(), threading.Event(), free_port()
    numbers: SimpleQueue[int] = SimpleQueue()
    for number in range(marks):
        numbers.put(number)
    pid = nest.start(server, data, port)
    until_listening(port)
    clients = [
        threading.Thread(target=_client, args=(port, numbers, crops, sent, stop), daemon=True) for _ in range(_CLIENTS)
    ]
    for client in clients:
        client.start()
    for _ in range(kills):
        with sent.progress:
            goal = min(marks, len(sent.answered) + chance.randint(1, max(1, marks // (kills + 1))))
            sent.progress.wait_for(lambda goal=goal: len(sent.answered) >= goal, timeout=60)
        time.sleep(chance.uniform(0.0, 0.01))
        nest.kill(pid)
        pid = nest.start(server, data, port)
    _until_quiet(clients, sent)
    stop.set()
    nest.kill(pid)
    return sent


def _until_quiet(clients: list[threading.Thread], sent: _Sent) -> None:
    """Wait until the clients are through, or nothing was answered for a minute."""
    known, since = len(sent.answered), time.monotonic()
    for client in clients:
        while client.is_alive() and time.monotonic() - since < _GIVEN_UP_S:
            client.join(0.2)
            if len(sent.answered) != known:
                known, since = len(sent.answered), time.monotonic()


def _faults(data: Path, sent: _Sent) -> tuple[int, int, list[str]]:
    """How many answered marks are lost or changed, how many are in the log more than once, and what is wrong."""
    with open_log(data) as log:
        rows, problems = log.history(), log.check()
    times = Counter(row.mark.note for row in rows)
    kept = {row.mark.note: (row.crop_id, row.value) for row in rows}
    lost = [number for number, said in sent.answered.items() if kept.get(f"mark {number}") != said]
    doubled = [note for note, count in times.items() if count > 1]
    told = [f"mark {number} was answered and is not in the log as it was sent" for number in lost[:5]]
    told += [f"{note} is {times[note]} times in the log" for note in doubled[:5]]
    told += [f"integrity_check: {problem}" for problem in problems] + [f"refused: {text}" for text in sent.refused[:5]]
    return len(lost), len(doubled), told


def _until_seen(
    nest: Nursery,
    server: str,
    own: Callable[[str], Path],
    crops: list[str],
    size: _Size,
    counted: Callable[[tuple[int, int, list[str]]], int],
) -> int:
    """How often a planted fault showed itself. Whether a kill meets a mark that is saved and not answered is chance, so
    that a round without one is followed by another, up to `_ROUNDS`."""
    seen = 0
    for seed in range(_ROUNDS):
        if not seen:
            data = own(f"{server} {seed}")
            sent = _send_under_kills(nest, server, data, crops, size.faulty_marks, size.faulty_kills, seed)
            seen = counted(_faults(data, sent))
    return seen


# --- the order of system calls ---------------------------------------------------------------------------------------

_TRACED = "recvfrom,read,sendto,sendmsg,write,writev,fdatasync,fsync"
_ARRIVES = re.compile(r" (?:recvfrom|read)\(.*\"POST /api/")
_SYNCS = re.compile(r" f(?:data)?sync\(\d+<[^>]*verdicts\.sqlite-wal>\) += 0")
_ANSWERS = re.compile(r" (?:sendto|sendmsg|write|writev)\(.*\"HTTP/1\.1 200")
_SERVE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
    "from lora_assets_tests.reliability.web_servers import SERVERS; SERVERS[sys.argv[2]](Path(sys.argv[3]), "
    "int(sys.argv[4]))"
)


def _traced(server: str, data: Path, crops: list[str], marks: int, trace: Path) -> tuple[int, int]:
    """Of so many marks sent one after the other: how many were answered, and how many of these with an fdatasync or
    fsync of the write-ahead log between arrival and answer."""
    port = free_port()
    command = ["strace", "-f", "-y", "-qq", "-s", "64", "-e", f"trace={_TRACED}", "-e", "signal=none", "-o", str(trace)]
    command += [sys.executable, "-c", _SERVE, str(Path(__file__).resolve().parents[2]), server, str(data), str(port)]
    process = subprocess.Popen(command, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        until_listening(port, 120)
        sent, numbers = _Sent(), SimpleQueue()
        for number in range(marks):
            numbers.put(number)
        _client(port, numbers, crops, sent, threading.Event())
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return len(sent.answered), _synced_before_answer(trace.read_text(errors="replace"))


def _synced_before_answer(trace: str) -> int:
    synced, arrived, ready = 0, False, False
    for line in trace.splitlines():
        if _ARRIVES.search(line):
            arrived, ready = True, False
        elif _SYNCS.search(line):
            ready = True
        elif arrived and _ANSWERS.search(line):
            synced += ready
            arrived = False
    return synced


def _watched(data: Path, rows: int) -> dict[str, tuple[int, int]]:
    """By log: of so many rows how many were synced when they were acknowledged, and how many of as many with SQLite's
    usual setting, the fault."""
    found = {}
    with watched_disk() as disk, open_log(data) as verdicts, CorrectionLog(corrections_path(data)) as corrections:

        def mark(number: int) -> object:
            return verdicts.append(a_mark(_VALUES[number % len(_VALUES)], f"crop{number}"))

        def correct(number: int) -> object:
            return corrections.append(a_correction(f"correction-{corrections.row_count()}-{number}"))

        for log, take in ((verdicts, mark), (corrections, correct)):
            synced = synced_when_taken(log, disk, take, rows)
            leave_out_syncs(log)
            found[log.things] = synced, synced_when_taken(log, disk, take, rows)
    return found


def _crops_of(data: Path) -> list[str]:
    table = Store(data).cell_table("scored_crops", dataset_slug(JAPANESE), TRACKER)
    assert table is not None
    return table.read(["crop_id"]).column("crop_id").to_pylist()


def run(level: Level) -> Figures:
    """Marks under kills, with a server that answers first and one that takes a re-send for a new mark as the faults."""
    began, size = time.monotonic(), _SIZES[level]
    failures: list[str] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder, nursery() as nest:
        made = make_data(Path(folder) / "made", frames_each=4, size=(160, 90))
        crops = _crops_of(made)

        def own(name: str) -> Path:
            return shutil.copytree(made, Path(folder) / name)

        data = own("real")
        sent = _send_under_kills(nest, "real", data, crops, size.marks, size.kills, seed=8)
        lost, doubled, told = _faults(data, sent)
        failures += told
        unanswered = size.marks - len(sent.answered)
        if unanswered:
            failures.append(f"{unanswered} marks were never answered")
        spent = time.monotonic() - began
        notes.append(
            f"{len(sent.answered)} marks answered from {_CLIENTS} clients, {size.kills} kills of the server, "
            f"{sent.sent_again} sent again; {lost} lost, {doubled} doubled, {len(sent.answered) / spent:.0f} a second"
        )
        failed = lost + doubled + unanswered + len(sent.refused)
        early_lost = _until_seen(nest, "acknowledging first", own, crops, size, lambda faults: faults[0])
        twice_doubled = _until_seen(nest, "saving twice", own, crops, size, lambda faults: faults[1])
        caught = early_lost > 0 and twice_doubled > 0
        notes.append(f"planted: answering first lost {early_lost}, taking a re-send for new doubled {twice_doubled}")
        tried = size.marks
        for things, (synced, early) in _watched(Path(folder) / "watched", size.watched).items():
            tried, failed = tried + size.watched, failed + size.watched - synced
            if synced != size.watched:
                failures.append(f"{size.watched - synced} of {size.watched} {things} were acknowledged before the sync")
            caught = caught and early < size.watched
            notes.append(
                f"{things} synced by SQLite before they were acknowledged: {synced} of {size.watched}; "
                f"planted NORMAL: {early} of {size.watched}"
            )
        if size.traced and shutil.which("strace"):
            answered, synced = _traced("real", own("traced"), crops, size.traced, Path(folder) / "trace")
            failed += answered - synced + (size.traced - answered)
            tried += size.traced
            if answered != synced:
                failures.append(f"{answered - synced} of {answered} answers came before the log was synced")
            _, early = _traced("unsynced", own("unsynced"), crops, 50, Path(folder) / "trace2")
            caught = caught and early < 50
            notes.append(
                f"strace: fdatasync before the answer for {synced} of {answered} marks; planted NORMAL: {early} of 50"
            )
        elif size.traced:
            notes.append("strace is not installed: the order of calls was not looked at")
    return Figures(
        "G8",
        f"{size.marks} numbered marks from {_CLIENTS} clients at once, {size.kills} kill -9 of the server, each mark "
        "sent again until it is answered; then the log is compared with what was answered, and system calls by strace",
        tried,
        failed,
        caught,
        time.monotonic() - began,
        "a server that answers before it saves; one that takes a re-send for a new mark; SQLite without a sync",
        tuple(notes),
        failures=tuple(failures[:20]),
    )
