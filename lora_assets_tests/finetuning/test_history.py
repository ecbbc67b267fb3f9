from __future__ import annotations

import importlib.util
import platform
import sys
import types
from dataclasses import asdict

import pytest

from lora_assets.finetuning.checkpoints import FinetuningError
from lora_assets.finetuning.history import HISTORY, check_log, open_history, read_history
from lora_assets.finetuning.settings import TrainingSettings


class _Run:
    def __init__(self) -> None:
        self.told: list[tuple[int, dict]] = []
        self.finished = False

    def log(self, figures, step):
        self.told.append((step, figures))

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    """A stand-in for the library, as if it were installed."""
    module = types.ModuleType("wandb")
    module.__spec__ = importlib.util.spec_from_loader("wandb", loader=None)
    run, given = _Run(), {}

    def init(**settings):
        given.update(settings)
        return run

    module.init = init  # pyright: ignore[reportAttributeAccessIssue]
    module.Settings = dict  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return run, given


def test_a_resumed_history_drops_what_comes_again_and_a_cut_line(tmp_path):
    (one,) = open_history(tmp_path, "x", "f", TrainingSettings(log="files"), 0)
    for step in (1, 2, 3, 4):
        one.tell(step, {"loss": step / 2})
    one.close()
    path = tmp_path / HISTORY
    path.write_bytes(path.read_bytes() + b'\xff\x00\n{"step": 5, "lo')
    open_history(tmp_path, "x", "f", TrainingSettings(log="files"), 2)
    assert [(line["step"], line["loss"]) for line in read_history(path)] == [(1, 0.5), (2, 1.0)]
    open_history(tmp_path, "x", "f", TrainingSettings(log="files"), 0)
    assert read_history(path) == []


def test_weights_and_biases_is_offline_unless_the_settings_say_otherwise(tmp_path, wandb):
    run, given = wandb
    settings = TrainingSettings(log="wandb", wandb_project="mine")
    lines, told = open_history(tmp_path / "x", "comics", "f1", settings, 0)
    assert (given["mode"], given["project"], given["name"]) == ("offline", "mine", "comics")
    assert given["config"] == {"fingerprint": "f1", **asdict(settings)}
    assert (given["id"], given["resume"]) == ("comics-f1", "allow")
    for one in (lines, told):
        one.tell(3, {"loss": 1.0})
        one.close()
    assert run.told == [(3, {"loss": 1.0})]
    assert run.finished
    assert read_history(tmp_path / "x" / HISTORY) == [{"step": 3, "loss": 1.0}]
    open_history(tmp_path / "x", "comics", "f2", TrainingSettings(log="wandb", wandb_mode="online"), 0)
    assert (given["mode"], given["id"]) == ("online", "comics-f2")


@pytest.mark.parametrize(
    ("setting", "environment", "used"),
    [
        ("offline", "online", "offline"),
        ("online", "offline", "offline"),
        ("online", "ONLINE", "online"),
        ("offline", "disabled", "disabled"),
        ("online", "dryrun", "offline"),
        ("online", "", "online"),
    ],
)
def test_neither_settings_nor_environment_send_what_the_other_keeps_back(
    tmp_path, wandb, monkeypatch, setting, environment, used
):
    monkeypatch.setenv("WANDB_MODE", environment)
    open_history(tmp_path, "comics", "f", TrainingSettings(log="wandb", wandb_mode=setting), 0)
    assert wandb[1]["mode"] == used


@pytest.mark.parametrize(("kind", "module"), [("wandb", "wandb"), ("tensorboard", "tensorboard")])
def test_a_library_that_is_not_installed_is_told_before_anything_starts(kind, module, monkeypatch):
    from lora_assets.finetuning import history

    monkeypatch.setattr(history, "_installed", lambda name: name != module)
    with pytest.raises(FinetuningError, match=f'pip install {module}, or set log = "files"'):
        check_log(TrainingSettings(log=kind))
    check_log(TrainingSettings())


def test_tensorboard_is_told_where_it_is_installed(tmp_path, monkeypatch):
    from lora_assets.finetuning import history

    told = []

    class Writer:
        def __init__(self, folder, purge_step):
            told.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            told.append((name, value, step))

        def close(self):
            told.append("closed")

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(history, "_installed", lambda name: True)
    (tmp_path / HISTORY).write_text("")
    _, board = open_history(tmp_path, "x", "f", TrainingSettings(), 7)
    board.tell(8, {"loss": 2.0})
    board.close()
    assert told == [(str(tmp_path / "tensorboard"), 8), ("loss", 2.0, 8), "closed"]


def _tell_and_resume(folder, kind: str) -> None:
    """Three steps, and from a checkpoint of the second on the third and fourth, as a killed training goes on."""
    settings = TrainingSettings(log=kind)
    for resumed_at, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        sinks = open_history(folder, "comics", "f1", settings, resumed_at)
        assert len(sinks) == 2
        for sink in sinks:
            for step in steps:
                sink.tell(step, {"loss": step / 8 + resumed_at, "val_iou": 0.5})
            sink.close()


def test_the_real_tensorboard_shows_every_step_of_a_resumed_training_once(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install 'lora_assets[tracking]'")
    from tensorboard.backend.event_processing.event_accumulator import (  # pyright: ignore[reportMissingImports]
        EventAccumulator,
    )

    _tell_and_resume(tmp_path, "tensorboard")
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    assert sorted(shown.Tags()["scalars"]) == ["loss", "val_iou"]
    assert [(one.step, one.value) for one in shown.Scalars("loss")] == [(1, 0.125), (2, 0.25), (3, 2.375), (4, 2.5)]


def test_the_real_weights_and_biases_keeps_figures_alone_and_on_this_machine(tmp_path, monkeypatch, capfd):
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'lora_assets[tracking]'")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    _tell_and_resume(tmp_path, "wandb")
    runs = sorted((tmp_path / "wandb").glob("offline-run-*-comics-f1"))
    assert len(runs) == 2
    first, second = (next(run.glob("*.wandb")).read_bytes() for run in runs)
    assert all(words in first for words in (b"val_iou", b"0.375", b"fingerprint"))
    assert all(words in second for words in (b"2.375", b"2.5"))
    # Nothing of the machine, the terminal, the code or the packages goes along with the figures.
    host = platform.node().encode()
    for content in (first, second):
        assert b"requirements.txt" not in content
        assert b"wandb-metadata" not in content
        assert len(host) < 4 or host not in content
    assert [path.name for run in runs for path in run.rglob("*") if path.parent.name == "files"] == []
    assert "Run history" not in capfd.readouterr().err
