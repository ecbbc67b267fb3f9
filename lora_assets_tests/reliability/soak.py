"""`make soak`: run the kits of the goals one after the other, print one table, write it, and say how long it took.

    python -m lora_assets_tests.reliability.soak [--level quick|full] [--only G8 G11 ...] [--docs] [--list]

Each kit runs in a process of its own, so that one that dies, hangs or takes all memory costs only its own row. What was
measured is kept as `build/reliability/<goal>.<level>.json` and printed again with the next table until the goal is
measured anew. `--docs` writes the table of the full level into docs/RELIABILITY.md. What is measured is in the kits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from lora_assets_tests.reliability.goals import KITS, Figures, Kit, Level, kit_of

_ROOT = Path(__file__).resolve().parents[2]
KEPT = _ROOT / "build" / "reliability"
DOCUMENT = _ROOT / "docs" / "RELIABILITY.md"
BEGIN, END = "<!-- table of make soak: begin -->", "<!-- table of make soak: end -->"
_MOST_SECONDS = {"quick": 300, "full": 3 * 3600}
_KIT = "import sys, json, dataclasses, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
_KIT += "from pathlib import Path; from lora_assets_tests.reliability.goals import kit_of; "
_KIT += "Path(sys.argv[3]).write_text(json.dumps(dataclasses.asdict(kit_of(sys.argv[1]).run(sys.argv[2]))))"


def upper_bound(tried: int, failed: int) -> float:
    """The highest rate of failure that 95 % confidence leaves (Clopper and Pearson 1934, one side): with no failure in
    n trials 1 - 0.05^(1/n), about 3 / n."""
    if tried <= 0:
        return 1.0
    low, high = failed / tried, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(failed, tried, middle) > 0.05:
            low = middle
        else:
            high = middle
    return high


def _at_most(failed: int, tried: int, rate: float) -> float:
    """The chance of at most `failed` failures in `tried` trials of a rate."""
    from math import exp, lgamma, log, log1p

    if rate >= 1.0:
        return 0.0 if failed < tried else 1.0
    terms = (
        lgamma(tried + 1) - lgamma(k + 1) - lgamma(tried - k + 1) + k * log(rate or 1e-300) + (tried - k) * log1p(-rate)
        for k in range(failed + 1)
    )
    return sum(exp(term) for term in terms)


def measure(kit: Kit, level: Level) -> dict[str, Any]:
    """Run one kit in a process of its own; its figures, or how it ended, as they are kept."""
    began, commit = time.monotonic(), current_commit()
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "figures.json"
        command = [sys.executable, "-W", "ignore", "-c", _KIT, kit.goal, level, str(note)]
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(_ROOT)}
        with subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace", start_new_session=True,
        ) as process:  # fmt: skip
            try:
                errors = process.communicate(timeout=_MOST_SECONDS[level])[1]
                last = errors.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
                why = "" if note.exists() else f"the kit ended early: {last[0]}"
            except subprocess.TimeoutExpired:
                why = f"the kit took more than {_MOST_SECONDS[level]} s"
            finally:
                _end(process)
        told = json.loads(note.read_text()) if not why else asdict(_not_measured(kit, why, time.monotonic() - began))
    told |= {"level": level, "at": datetime.now(UTC).isoformat(timespec="minutes"), "machine": _machine()}
    told["commit"] = commit
    return told


def _end(process: subprocess.Popen[str]) -> None:
    """End a kit that still runs so that it stops its servers, then whatever it or its death has left behind."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _not_measured(kit: Kit, why: str, seconds: float) -> Figures:
    return Figures(kit.goal, kit.promise, 0, 1, None, seconds, failures=(why,))


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def current_commit() -> str:
    """The commit of the code that is measured, with ", dirty" where files differ from it; "" where git tells none."""
    try:
        head, changed = (
            subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + (", dirty" if changed else "")


def keep(told: dict[str, Any]) -> None:
    """Write one kit's figures; a later run of the same goal and level replaces them."""
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{told['goal']}.{told['level']}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def kept(goal: str, level: Level) -> tuple[Figures, dict[str, Any]] | None:
    """The figures of a goal as they were measured last, and the whole note; None when they never were."""
    try:
        told = json.loads((KEPT / f"{goal}.{level}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    names = {each.name for each in fields(Figures)}
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.items() if name in names
    }
    return Figures(**given), told


def rows(level: Level) -> list[list[str]]:
    """The table: one row for each goal, in their order; a goal that was not measured says so."""
    made, now = [], current_commit()
    for kit in sorted(KITS, key=lambda each: (len(each.goal), each.goal)):
        found = kept(kit.goal, level)
        if found is None:
            made.append([kit.goal, kit.promise, "not measured yet", "", "", "", "", ""])
            continue
        figures = found[0]
        commit = found[1].get("commit", "")
        elsewhere = "" if commit == now and now else f" ({commit or 'no commit kept'})"
        if figures.skipped and not figures.tried:
            made.append([kit.goal, kit.promise, f"left out: {figures.skipped}", "0", "", "", "", ""])
            continue
        caught = {True: "caught", False: "NOT CAUGHT", None: "not tried"}[figures.seeded_fault_caught]
        bound = f"{100 * upper_bound(figures.tried, figures.failed):.2g} %" if figures.tried else ""
        how = "; ".join(filter(None, (figures.how, kit.remark))) + (
            f" (left out: {figures.skipped})" if figures.skipped else ""
        )
        fault = f"{caught}: {figures.seeded_fault}" if figures.seeded_fault else caught
        made.append([kit.goal, kit.promise, how, f"{figures.tried:,}", f"{figures.failed:,}", bound, fault,
                     f"{figures.seconds:.0f} s{elsewhere}"])  # fmt: skip
    return made


HEADINGS = ("goal", "promise", "how it was tried", "tried", "failed", "at most (95 %)", "planted fault", "took")


def markdown(level: Level) -> str:
    """The table as Markdown, with what was measured beside it and what went wrong below."""
    made = rows(level)
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in made]
    notes, wrong = [], []
    for kit in KITS:
        if (found := kept(kit.goal, level)) is not None:
            notes += [f"- {kit.goal}: {note}" for note in found[0].notes]
            wrong += [f"- {kit.goal}: {failure}" for failure in found[0].failures]
    found_all = [found for kit in KITS if (found := kept(kit.goal, level)) is not None]
    told = sorted({f"{found[1]['at'][:10]}, {found[1]['machine']}" for found in found_all})
    lines += ["", f"Level {level}; {sum(found[0].seconds for found in found_all) / 60:.0f} minutes in all; "
              + "; ".join(told) + f". Printed at commit {current_commit() or '(unknown)'}; a row that was measured at "
              "another one names it in its last column."]  # fmt: skip
    if notes:
        lines += ["", "Measured beside it:", "", *notes]
    if wrong:
        lines += ["", "What failed:", "", *wrong]
    return "\n".join(lines) + "\n"


def write_document(level: Level, document: Path = DOCUMENT) -> None:
    """Replace the table between the two marks of the document. Raises ValueError when the marks are not there."""
    text = document.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no place for the table: put {BEGIN} and {END} into it")
    document.write_text(f"{before}{BEGIN}\n\n{markdown(level)}\n{END}{after}", encoding="utf-8")


def _say(told: dict[str, Any]) -> None:
    found = kept(told["goal"], told["level"])
    assert found is not None
    figures = found[0]
    state = "passed" if figures.passed else "left out" if _is_fine(figures) else "FAILED"
    print(
        f"{figures.goal:4} {state}: {figures.tried:,} tried, {figures.failed} failed, {figures.seconds:.0f} s",
        flush=True,
    )
    for text in (*figures.failures[:5], *((figures.skipped,) if figures.skipped else ())):
        print(f"       {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 0 when every kit passed or was left out with a reason, else 1."""
    parser = argparse.ArgumentParser(prog="soak", description="Measure the goals of docs/RELIABILITY.md.")
    parser.add_argument("--level", choices=get_args(Level), default="full")
    parser.add_argument("--only", nargs="+", default=[], metavar="GOAL", help="goals to measure, such as G8 G11")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/RELIABILITY.md")
    parser.add_argument("--list", action="store_true", help="name the goals and print the table of what is kept")
    asked = parser.parse_args(arguments)
    try:
        kits = [kit_of(goal) for goal in asked.only] or list(KITS)
    except KeyError as error:
        parser.error(f"there is no goal {error}: choose of {', '.join(kit.goal for kit in KITS)}")
    began = time.monotonic()
    for kit in () if asked.list else kits:
        print(f"{kit.goal:4} {kit.promise} ...", flush=True)
        told = measure(kit, asked.level)
        keep(told)
        _say(told)
    table = KEPT / f"table.{asked.level}.md"
    KEPT.mkdir(parents=True, exist_ok=True)
    table.write_text(markdown(asked.level), encoding="utf-8")
    minutes = (time.monotonic() - began) / 60
    print(f"\n{markdown(asked.level)}\nwritten to {table}; took {minutes:.1f} min")
    if asked.docs:
        write_document(asked.level)
        print(f"the table is in {DOCUMENT}")
    found = [kept(kit.goal, asked.level) for kit in kits]
    return int(any(each is None or not _is_fine(each[0]) for each in found))


def _is_fine(figures: Figures) -> bool:
    """Passed, or left out with a reason while nothing that was tried failed and no planted fault got by."""
    return figures.passed or bool(figures.skipped and not figures.failed and figures.seeded_fault_caught is not False)


if __name__ == "__main__":
    sys.exit(main())
