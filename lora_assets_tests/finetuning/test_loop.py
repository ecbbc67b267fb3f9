"""Training: the same numbers after a kill, a full disk, a damaged checkpoint; what learns and what stays."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lora_assets.finetuning.checkpoints import BEST, LAST, PREVIOUS, FinetuningError, read_checkpoint, read_last
from lora_assets.finetuning.history import HISTORY, read_history
from lora_assets.finetuning.loop import NO_BETTER, STEPS_DONE, TIME_OVER, Tuned, Tuning, tune
from lora_assets.finetuning.networks import open_network
from lora_assets.finetuning.settings import TrainingSettings
from lora_assets.models import resolve
from lora_assets_tests.finetuning.conftest import QUICK


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def course(found, sam2_folder, data, tmp_path):
    """Train the tiny SAM 2 in the folder `name`; with `kill_at` it ends there as by a kill."""

    def run(name: str, *, resume: bool = False, kill_at: int = 0, fingerprint: str = "f", **changed) -> Tuned:
        weights = resolve(str(sam2_folder), data)
        settings = TrainingSettings(**{**QUICK, **changed})

        def listen(done: int, _total: int, _words: str) -> None:
            if done == kill_at:
                raise Killed

        tuning = Tuning(name, open_network(weights), found, settings, tmp_path / name, weights.sha256, fingerprint)
        return tune(tuning, resume=resume, listen=listen)

    return run


@pytest.fixture(scope="module")
def whole(found, sam2_folder, tmp_path_factory) -> tuple[Path, Tuned]:
    """The folder of a training with the usual quick settings that nothing stopped, and what it came to."""
    root = tmp_path_factory.mktemp("never stopped")
    weights = resolve(str(sam2_folder), root)
    tuning = Tuning(
        "whole", open_network(weights), found, TrainingSettings(**QUICK), root / "whole", weights.sha256, "f"
    )
    return root / "whole", tune(tuning, resume=False, listen=lambda *_: None)


def _same(first: Path, second: Path) -> bool:
    import torch

    one, other = read_checkpoint(first), read_checkpoint(second)
    assert one.state.step == other.state.step
    assert one.state.best_iou == other.state.best_iou
    assert one.weights.keys() == other.weights.keys()
    assert one.moments.keys() == other.moments.keys()
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights) and all(
        torch.equal(one.moments[index][name], other.moments[index][name])
        for index in one.moments
        for name in one.moments[index]
    )


@pytest.mark.parametrize("encoder", ["frozen", pytest.param("lora", marks=pytest.mark.slow)])
def test_a_killed_training_goes_on_to_the_same_numbers(course, whole, tmp_path, encoder):
    folder, never_stopped = whole
    if encoder != "frozen":
        folder, never_stopped = tmp_path / "whole", course("whole", encoder=encoder)
    with pytest.raises(Killed):
        course("killed", encoder=encoder, kill_at=5)
    assert read_checkpoint(tmp_path / "killed" / LAST).state.step == 4
    resumed = course("killed", encoder=encoder, resume=True)
    assert resumed.resumed_at == 4
    assert resumed.state.finished == STEPS_DONE
    assert _same(folder / LAST, tmp_path / "killed" / LAST)
    assert _same(folder / BEST, tmp_path / "killed" / BEST)
    steps = [[(line["step"], line.get("loss"), line.get("val_iou")) for line in read_history(each / HISTORY)]
             for each in (folder, tmp_path / "killed")]  # fmt: skip
    assert steps[0] == steps[1]
    assert never_stopped.state.best_iou == resumed.state.best_iou


def test_a_full_disk_at_a_checkpoint_is_told_and_the_last_good_one_goes_on(course, whole, tmp_path, monkeypatch):
    sync = os.fsync
    written = []

    def full(handle: int) -> None:
        # Threads that other tests left may write elsewhere meanwhile.
        own = str(tmp_path / "full") in os.readlink(f"/proc/self/fd/{handle}")
        written.extend([handle] * own)
        if own and len(written) > 6:  # history, first checkpoint and best weights, each a file and its folder
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FinetuningError, match=r"No space left.*last good one is whole.*--resume"):
        course("full")
    kept = read_last(tmp_path / "full")
    assert kept is not None
    assert kept.state.step == 2
    monkeypatch.setattr(os, "fsync", sync)
    course("full", resume=True)
    assert _same(whole[0] / LAST, tmp_path / "full" / LAST)


def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(course, tmp_path):
    with pytest.raises(Killed):
        course("one", kill_at=6)
    last, previous = tmp_path / "one" / LAST, tmp_path / "one" / PREVIOUS
    assert (read_checkpoint(last).state.step, read_checkpoint(previous).state.step) == (4, 2)
    last.write_bytes(last.read_bytes()[:1000])
    kept = read_last(tmp_path / "one")
    assert kept is not None
    assert kept.state.step == 2
    previous.write_bytes(b"nothing")
    with pytest.raises(FinetuningError, match="damaged"):
        read_last(tmp_path / "one")


def test_another_training_is_not_gone_on_with(course):
    with pytest.raises(Killed):
        course("one", kill_at=3)
    with pytest.raises(FinetuningError, match="other data, another base or other settings"):
        course("one", resume=True, fingerprint="g")
    assert course("one", fingerprint="g").resumed_at == 0


def test_it_ends_early_when_nothing_gets_better_or_time_is_over(course, tmp_path):
    # Nothing learns at this rate, so no validation after the first is better.
    stopped = course("stale", learning_rate=1e-12, validate_every=1, patience=2, steps=50)
    assert (stopped.state.finished, stopped.state.step) == (NO_BETTER, 3)
    timed = course("timed", minutes=1e-6)
    assert (timed.state.finished, timed.state.step) == (TIME_OVER, 1)
    # It is judged where it ended; the checkpoint does not know.
    assert timed.state.best_step == 1
    assert read_checkpoint(tmp_path / "timed" / LAST).state.best_step == 0
    assert course("timed", resume=True, minutes=1e-6).state == timed.state
    assert course("timed", resume=True).state.finished == STEPS_DONE


def test_what_learns_is_what_the_settings_say(found, sam2_folder, data, tmp_path):
    import torch

    from lora_assets.finetuning.learning import choose_weights

    weights = resolve(str(sam2_folder), data)
    learning = {}
    for encoder in ("frozen", "lora", "full"):
        network = open_network(weights)
        choose_weights(network, TrainingSettings(encoder=encoder))
        learning[encoder] = {name for name, value in network.module.named_parameters() if value.requires_grad}
    assert not any(name.startswith(("vision_encoder.", "mask_decoder.conv_s")) for name in learning["frozen"])
    assert any(name.endswith("qkv.up") for name in learning["lora"])
    assert not any(name.endswith("qkv.base.weight") for name in learning["lora"])
    assert any(name.startswith("vision_encoder.") for name in learning["full"])
    settings = TrainingSettings(**{**QUICK, "steps": 2, "validate_every": 2, "encoder": "full", "learning_rate": 1e-3})
    network = open_network(weights)
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    tune(Tuning("x", network, found, settings, tmp_path / "x", "b", "f"), resume=False, listen=lambda *_: None)
    changed = {name for name, value in network.module.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} >= {"vision_encoder", "mask_decoder", "prompt_encoder"}


@pytest.mark.parametrize("cache", [pytest.param("memory", marks=pytest.mark.slow), "disk"])
def test_embeddings_that_are_kept_change_no_number(course, tmp_path, cache):
    from lora_assets.finetuning.pages import EmbeddingCache

    course("plain", cache="none")
    course("kept", cache=cache, cache_gb=0.00002 if cache == "memory" else 1.0)
    assert _same(tmp_path / "plain" / LAST, tmp_path / "kept" / LAST)
    if cache == "disk":
        files = list((tmp_path / "kept" / "embeddings").glob("*.safetensors"))
        assert len(files) == 5
        files[0].write_bytes(b"damaged")
        course("kept", cache="disk")
        assert _same(tmp_path / "plain" / LAST, tmp_path / "kept" / LAST)
        again = EmbeddingCache("disk", 1.0, "other base", None, tmp_path / "kept" / "embeddings", "cpu")
        assert again._read("0" * 16) is None


def test_embeddings_of_another_base_or_precision_are_not_used_and_make_room(tmp_path):
    import torch

    from lora_assets.finetuning.pages import EmbeddingCache

    def cache(base: str, dtype: torch.dtype | None) -> EmbeddingCache:
        return EmbeddingCache("disk", 3000 / 1024**3, base, dtype, tmp_path, "cpu")

    half = cache("base", torch.bfloat16)
    for page in "ab":
        half.get(page, lambda: (torch.zeros(250),))
    assert cache("base", torch.bfloat16).get("a", lambda: (torch.ones(250),))[0].sum() == 0
    whole = cache("base", None)
    assert whole.get("a", lambda: (torch.ones(250),))[0].sum() == 250
    assert (whole.hits, whole.made) == (0, 1)
    other = cache("other", None)
    for _ in range(2):
        for page in "ab":
            other.get(page, lambda: (torch.zeros(250),))
    assert (other.hits, other.made) == (2, 2)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_more_minutes_go_on_to_the_numbers_of_a_training_without_them(course, tmp_path):
    changed = {"learning_rate": 1e-12, "patience": 1, "steps": 12}
    whole = course("whole", **changed)
    assert (whole.state.finished, whole.state.step) == (NO_BETTER, 6)
    for minutes in (1e-6, 1e-6, 0.0):
        timed = course("timed", resume=minutes == 0, minutes=minutes, **changed)
    assert (timed.state.finished, timed.state.step) == (NO_BETTER, 6)
    assert (timed.state.best_iou, timed.state.best_step) == (whole.state.best_iou, whole.state.best_step)
    assert _same(tmp_path / "whole" / LAST, tmp_path / "timed" / LAST)
    assert _same(tmp_path / "whole" / BEST, tmp_path / "timed" / BEST)


def _spoil_gradients(monkeypatch, at: int, *, told: bool) -> None:
    """Gradients that are no numbers at the step `at`, from 1 on; `told`: before their norm is taken."""
    import torch

    clip, steps = torch.nn.utils.clip_grad_norm_, []

    def spoiled(values, most):
        steps.append(None)
        norm = None if told else clip(values, most)
        if len(steps) == at:
            for value in values:
                if value.grad is not None:
                    value.grad.fill_(float("nan"))
        return clip(values, most) if norm is None else norm

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoiled)


@pytest.mark.parametrize("told", [True, False])
def test_weights_that_are_no_numbers_are_never_saved(course, tmp_path, monkeypatch, told):
    import torch

    _spoil_gradients(monkeypatch, 4, told=told)
    with pytest.raises(FinetuningError, match=r"no number.*lower learning_rate.*What was saved before.* is whole"):
        course("nan")
    kept = read_last(tmp_path / "nan")
    assert kept is not None
    assert kept.state.step == 2
    assert all(bool(torch.isfinite(value).all()) for value in kept.weights.values())
    monkeypatch.undo()
    assert course("nan", resume=True).state.finished == STEPS_DONE


def test_a_loss_that_is_no_number_ends_the_training(course, monkeypatch):
    from lora_assets.finetuning import losses

    real = losses.answer_losses

    def spoiled(*given, **weights):
        told = real(*given, **weights)
        return replace(told, total=told.total * float("nan"))

    monkeypatch.setattr(losses, "answer_losses", spoiled)
    with pytest.raises(FinetuningError, match="no number: lower learning_rate"):
        course("nan")


def test_best_weights_that_are_gone_are_not_replaced_by_the_last(course, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "one")
    best, tuned = tmp_path / "one" / BEST, whole[1]
    kept = read_checkpoint(best)
    assert kept.state.step == tuned.state.best_step
    content = best.read_bytes()
    best.unlink()
    with pytest.raises(FinetuningError, match=r"best\.safetensors is gone.*put the file back.*--anew"):
        course("one", resume=True)
    course("other", fingerprint="g")
    best.write_bytes((tmp_path / "other" / BEST).read_bytes())
    with pytest.raises(FinetuningError, match="of another training"):
        course("one", resume=True)
    best.write_bytes(content)
    assert course("one", resume=True).state == tuned.state


def test_float16_needs_a_gpu(course):
    with pytest.raises(FinetuningError, match="needs a GPU"):
        course("half", precision="float16")


@pytest.mark.parametrize("encoder", ["frozen", pytest.param("full", marks=pytest.mark.slow)])
def test_bfloat16_trains_on_a_cpu_too_and_is_resumed(course, tmp_path, encoder):
    import torch

    whole = course("whole", precision="bfloat16", encoder=encoder, share_of_points=0.5)
    exact = course("exact", precision="float32", encoder=encoder, share_of_points=0.5)
    losses = [[line["loss"] for line in read_history(tmp_path / name / HISTORY) if "loss" in line]
              for name in ("whole", "exact")]  # fmt: skip
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    # Weights and moments stay in float32.
    assert {value.dtype for value in read_checkpoint(tmp_path / "whole" / LAST).weights.values()} == {torch.float32}
    with pytest.raises(Killed):
        course("killed", precision="bfloat16", encoder=encoder, share_of_points=0.5, kill_at=5)
    resumed = course("killed", precision="bfloat16", encoder=encoder, share_of_points=0.5, resume=True)
    assert _same(tmp_path / "whole" / LAST, tmp_path / "killed" / LAST)
    assert whole.state.finished == resumed.state.finished == exact.state.finished == STEPS_DONE
