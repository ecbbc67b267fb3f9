"""`lora-assets up` for real: servers, sensors, a folder that is dropped, Ctrl-C, and a kill in the middle of a run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lora_assets.benchmarks.inputs import draw_frames
from lora_assets.store import Shelf, Store
from lora_assets.tables import Detection

_ROOT = Path(__file__).resolve().parents[2]
_FRAMES = 24
_COMMAND = [sys.executable, "-m", "lora_assets.cli"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def project(tmp_path):
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copyfile(_ROOT / name, tmp_path / name)
    (tmp_path / "data" / "input").mkdir(parents=True)
    return tmp_path


def _environment(project: Path) -> dict[str, str]:
    return {**os.environ, "LORA_ASSETS_HOME": str(project)}


def _json(url: str) -> dict:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return {}


def _status(url: str, **headers: str) -> int:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def _wait(condition, seconds: float, what: str):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := condition():
            return found
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {seconds:.0f} s")
    return None


@pytest.mark.slow
def test_a_dropped_folder_is_on_the_page_of_live(project):
    pages, dagster = _free_port(), _free_port()
    command = [*_COMMAND, "up", "--pages-port", str(pages), "--dagster-port", str(dagster)]
    with (project / "log").open("wb") as log:
        up = subprocess.Popen(command, env=_environment(project), stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(lambda: _json(f"http://127.0.0.1:{dagster}/server_info"), 90, "the Dagster UI")
            draw_frames(project / "data" / "tmp", 6, different=6, size=(640, 360))
            (project / "data" / "tmp").rename(project / "data" / "input" / "エピソード 01")
            began = time.monotonic()
            told = _wait(
                lambda: (t := _json(f"http://127.0.0.1:{pages}/api/tracker/LIVE")).get("total", {}).get("crops") and t,
                180,
                "crops on the page of LIVE",
            )
            print(f"crops on the page after {time.monotonic() - began:.0f} s")
            assert told["total"]["frames"] == 6
            assert _status(f"http://127.0.0.1:{pages}/tracker/LIVE") == 200
            assert _status(f"http://127.0.0.1:{dagster}/", Host="evil.example") == 421
            assert _status(f"http://127.0.0.1:{dagster}/graphql?query=%7Bversion%7D") == 403
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)
    assert up.returncode == 0, (project / "log").read_text()
    assert _status_or_gone(pages) is None
    # What was made persists, and a command without servers sees it.
    status = subprocess.run([*_COMMAND, "status", "--json"], env=_environment(project), capture_output=True, text=True)
    assert [entry["tracker"] for entry in json.loads(status.stdout)] == ["LIVE"]


def _status_or_gone(port: int) -> int | None:
    try:
        return _status(f"http://127.0.0.1:{port}/")
    except OSError:
        return None


@pytest.mark.slow
def test_a_run_killed_at_any_moment_resumes_where_it_was(project):
    draw_frames(project / "data" / "input" / "film", _FRAMES, different=12, size=(640, 360))
    command = [*_COMMAND, "run", "--input", "data/input/film", "--tracker", "T1"]
    environment = _environment(project)
    found: dict[Path, tuple[int, bytes]] = {}
    for stage in ("detections", "segments"):
        with subprocess.Popen(
            command, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as run:
            _wait(lambda stage=stage: _chunks(project, stage), 120, f"the first chunk of {stage}")
            run.send_signal(signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
        found |= _chunks(project, "detections") | _chunks(project, "segments")
    ended = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    # What had been made was re-used: no frame was listed or detected again, and no chunk was written anew.
    assert found.items() <= (_chunks(project, "detections") | _chunks(project, "segments")).items()
    assert "film: raw_frames" not in ended.stdout
    assert "film: detections" not in ended.stdout
    assert f"film: scored_crops: {_FRAMES} of {_FRAMES}" in ended.stdout
    store = Store(project / "data")
    assert sum(len(frames) for frames in _answered(store, "detections")) == _FRAMES
    masks = store.cell_table("masks", "film", "T1")
    assert masks is not None
    assert masks.facts["frames"] == _FRAMES
    shown = subprocess.run(
        [*_COMMAND, "show", "raw_frames", "--tracker", "T1", "--format", "json"],
        cwd=project, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert len(json.loads(shown.stdout)) == _FRAMES


def _chunks(project: Path, stage: str) -> dict[Path, tuple[int, bytes]]:
    """The chunks of a stage: when each was written, and its bytes."""
    paths = (project / "data" / "store" / stage).glob("*/*.parquet")
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def _answered(store: Store, stage: str) -> list[list[str]]:
    """The frames of each chunk of a stage."""
    folders = (store.data / "store" / stage).iterdir()
    return [frames for folder in folders for frames in Shelf(folder, Detection).chunk_frames().values()]
