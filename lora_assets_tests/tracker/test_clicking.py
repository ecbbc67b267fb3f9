"""The clicking process: answers, deaths, hangs, its end with the server, and what the pages say of it."""

from __future__ import annotations

import hashlib
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lora_assets.tracker.clicking import Clicker, ClickingFailed, ClickLimits, ClickRefused
from lora_assets_tests.tracker.drawn_data import draw_frame
from lora_assets_tests.tracker.fake_clicks import PROGRAM
from lora_assets_tests.tracker.junk_clicks import PROGRAM as JUNK


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    from PIL import Image

    path = tmp_path_factory.mktemp("clicked") / "frame.png"
    Image.fromarray(draw_frame(3, "frame.png").pixels).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest(), path


@pytest.fixture(scope="module")
def clicker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clicker]:
    made = Clicker(tmp_path_factory.mktemp("clicks"), program=PROGRAM)
    yield made
    made.close()


def test_a_picture_is_opened_once_and_each_click_is_answered_from_it(clicker, picture):
    opened = clicker.open("T", *picture)
    assert (opened["model"], opened["width"], opened["height"]) == ("discs", 320, 180)
    first = clicker.ask("T", *picture, {"points": [[100.0, 90.0]], "labels": [1]})
    scores = [one["score"] for one in first["candidates"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 3
    assert first["candidates"][0]["window"] == [80, 70, 41, 41]
    assert sum(first["candidates"][0]["runs"]) == 41 * 41
    then = clicker.ask(
        "T", *picture, {"points": [[100.0, 90.0], [200.0, 90.0]], "labels": [1, 1], "after": [first["answer"], 1]}
    )
    assert then["candidates"][0]["area"] > first["candidates"][1]["area"], "the chosen candidate is gone on from"
    assert clicker.open("T", *picture)["pictures"] == 1


def test_what_does_not_fit_is_refused_and_the_process_stays(clicker, picture):
    clicker.open("T", *picture)
    process = clicker.process_id
    for prompt in ({"points": [[float("inf"), 1.0]], "labels": [1]}, {"points": [[999.0, 9.0]], "labels": [1]}, {}):
        with pytest.raises(ClickRefused) as refused:
            clicker.ask("T", *picture, prompt)
        assert refused.value.prompt
    with pytest.raises(ClickRefused, match="changed after it was listed"):
        clicker.open("T", "0" * 64, picture[1])
    assert clicker.process_id == process


def test_a_crash_costs_one_click(clicker, picture):
    clicker.open("T", *picture)
    before = clicker.process_id
    with pytest.raises(ClickingFailed, match=r"SIGKILL.*started again at the next click"):
        clicker.ask("T", *picture, {"points": [[1.0, 90.0]], "labels": [1]})
    assert clicker.process_id is None
    assert clicker.ask("T", *picture, {"box": [10, 10, 60, 60]})["candidates"][0]["area"] == 2500
    assert clicker.process_id not in (None, before)


def test_a_hang_is_ended_and_told(clicker, picture):
    clicker.open("T", *picture)
    clicker._limits = replace(clicker._limits, click=0.3)
    try:
        with pytest.raises(ClickingFailed, match=r"hung: no answer after 0\.3 seconds"):
            clicker.ask("T", *picture, {"points": [[90.0, 1.0]], "labels": [1]})
    finally:
        clicker._limits = ClickLimits()
    assert clicker.process_id is None


def test_a_model_that_prints_among_its_answers_costs_one_click(tmp_path, picture: tuple[str, Path]):
    clicker = Clicker(tmp_path, program=JUNK)
    try:
        assert clicker.ask("T", *picture, {"points": [[100.0, 90.0]], "labels": [1]}) == {"model": "junk"}
        before = clicker.process_id
        assert before is not None
        with pytest.raises(ClickingFailed, match=r"answered nonsense \('Downloading: 100%'\)\. It is started again"):
            clicker.ask("T", *picture, {"points": [[1.0, 90.0]], "labels": [1]})
        assert clicker.process_id is None and not Path(f"/proc/{before}").exists()
        assert clicker.open("T", *picture) == {"model": "junk"}
    finally:
        clicker.close()


def test_a_picture_is_ready_only_while_the_process_holds_it(tmp_path, picture: tuple[str, Path]):
    (tmp_path / "trackers").mkdir()
    (tmp_path / "trackers" / "OTHER.toml").write_text('[segment]\nweights = "another-model"\n')
    frame = picture[0]
    clicker = Clicker(tmp_path, program=PROGRAM)
    try:
        with pytest.raises(ClickRefused, match="changed after it was listed"):
            clicker.open("T", "0" * 64, picture[1])
        assert clicker.ready == frozenset(), "a picture that was refused is not held"
        clicker.open("T", *picture)
        clicker.open("U", *picture)
        assert clicker.ready == {("T", frame), ("U", frame)}, "trackers of one segmenter share it"
        with pytest.raises(ClickRefused):
            clicker.ask("T", *picture, {})
        assert clicker.ready == {("T", frame), ("U", frame)}
        clicker.open("OTHER", *picture)
        assert clicker.ready == {("OTHER", frame)}, "another model drops what was embedded by the first"
        clicker._limits = replace(clicker._limits, embed=0.3)
        with pytest.raises(ClickingFailed, match=r"no answer after 0\.3 seconds"):
            clicker.ask("T", *picture, {"points": [[90.0, 1.0]], "labels": [1]})
        assert clicker.ready == frozenset()
    finally:
        clicker.close()


def test_only_so_many_pictures_are_kept_ready(tmp_path, picture):
    from PIL import Image

    clicker = Clicker(tmp_path, ClickLimits(embeddings=2), PROGRAM)
    try:
        told = []
        for seed in range(4):
            path = tmp_path / f"{seed}.png"
            Image.fromarray(draw_frame(seed, "x").pixels).save(path)
            told.append(clicker.open("T", hashlib.sha256(path.read_bytes()).hexdigest(), path)["pictures"])
        assert told == [1, 2, 2, 2]
        last = {("T", hashlib.sha256((tmp_path / f"{seed}.png").read_bytes()).hexdigest()) for seed in (2, 3)}
        assert clicker.ready == last
    finally:
        clicker.close()


def test_it_ends_when_nobody_clicks_and_with_its_server(tmp_path, picture):
    idle = Clicker(tmp_path, ClickLimits(idle=0.05), PROGRAM)
    idle.open("T", *picture)
    process = idle.process_id
    assert process is None or _ends(process)
    assert idle.process_id is None and not idle.ready
    code = (
        "import os, sys; from pathlib import Path; from lora_assets.tracker.clicking import Clicker\n"
        f"clicker = Clicker(Path({str(tmp_path)!r}), program={PROGRAM!r})\n"
        f"clicker.open('T', {picture[0]!r}, Path({str(picture[1])!r}))\n"
        "print(clicker.process_id, flush=True); os._exit(9)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert _ends(int(told.stdout))


def _ends(process: int) -> bool:
    """Wait for the end of a process, also of one that is no child of this one; False when it lives too long."""
    try:
        told = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(told, selectors.EVENT_READ)
            return bool(selector.select(60))
    finally:
        os.close(told)
