"""Fixtures of all tests: data folders with drawn frames, real weights and pictures where they are present."""

from __future__ import annotations

import functools
import gc
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, settings

from lora_assets.benchmarks.inputs import draw_frames
from lora_assets.judge import report as judge_report
from lora_assets.judge.learning import learning_curve
from lora_assets.main_line.reading import kept_readers
from lora_assets.models import digests, opening

_ROOT = Path(__file__).resolve().parents[1]
TEST_MODELS = Path(os.environ.get("LORA_ASSETS_TEST_MODELS", _ROOT.parent / "shared" / "models"))
TEST_IMAGES = Path(os.environ.get("LORA_ASSETS_TEST_IMAGES", _ROOT.parent / "shared" / "images"))

# The same examples in every run, and no example judged by the clock: whether a change is taken must depend neither on
# chance nor on what else the machine does. `--hypothesis-profile=search` (`make test-all`) looks for new examples.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("suite", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("suite")


def pytest_report_header() -> str:
    """Which of the things that tests may leave out are present."""
    chromium = shutil.which("chromium")
    present = {
        "real weights": TEST_MODELS.is_dir(),
        "real pictures": TEST_IMAGES.is_dir(),
        "Chromium": chromium is not None,
        "GPU": Path("/dev/nvidiactl").exists(),
    }
    return "present: " + ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in present.items())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is made while modules are imported and tests are gathered lasts for the run: no sweep for garbage goes
    through those millions of objects, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = sorted({report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)})
    for reason in reasons:
        terminalreporter.write_line(f"left out: {reason}")


@pytest.fixture(autouse=True)
def back_in_the_project() -> Iterator[None]:
    """Commands enter a project's folder, and programs that other tests start look for their modules in this one."""
    yield
    os.chdir(_ROOT)


@pytest.fixture(scope="session", autouse=True)
def _readers_are_kept() -> Iterator[None]:
    """Reading processes serve many tests: each takes half a second to start."""
    with kept_readers():
        yield


@pytest.fixture(scope="session", autouse=True)
def _disks_are_not_waited_for() -> Iterator[None]:
    """Files of tests need not survive a power cut: only handles that are none are refused. What is waited for, and in
    which order, is told in test_atomic; that files would survive is held by the kits that trace whole processes."""

    def asked(handle: int) -> None:
        os.fstat(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", asked)
        yield


@pytest.fixture(scope="session", autouse=True)
def _what_never_changes_is_read_once() -> Iterator[None]:
    """What thousands of tests would read again: the shipped weights, hashed for each data folder, and Dagster's hundred
    files of migrations, for each database."""
    shipped = opening.STARTER_FOLDER.absolute()

    def once(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
        known = functools.cache(read)
        return lambda path: (known if path.parent == shipped else read)(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "file_sha256", once(digests.file_sha256))
        patch.setattr(ScriptDirectory, "from_config", staticmethod(functools.cache(ScriptDirectory.from_config)))
        yield


@pytest.fixture(scope="session", autouse=True)
def _judges_have_a_short_curve() -> Iterator[None]:
    """The learning curve takes more than half of a judge's time: one point of it here, all in judge/test_report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge_report, "learning_curve", functools.partial(learning_curve, shares=(0.5,)))
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data folder."""
    folder = tmp_path / "data"
    (folder / "input").mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def _drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_frames(folder, 12, different=12, size=(320, 180))
    return folder


@pytest.fixture
def drop_frames(data: Path, _drawn: Path) -> Callable[..., Path]:
    """Put `count` drawn frames, from number `start` on, into the dataset folder `name`."""

    def drop(name: str = "film", count: int = 4, start: int = 0) -> Path:
        folder = data / "input" / name
        folder.mkdir(exist_ok=True)
        for path in sorted(_drawn.iterdir())[start : start + count]:
            shutil.copyfile(path, folder / path.name)
        return folder

    return drop
