from __future__ import annotations

from dataclasses import replace

import pytest

from lora_assets.finetuning import memory
from lora_assets.finetuning.memory import REFERENCE, estimate_memory, free_memory, ways_out
from lora_assets.finetuning.networks import Sam2Network, SamNetwork, open_network
from lora_assets.finetuning.settings import TrainingSettings
from lora_assets.models import resolve


@pytest.fixture(scope="module")
def large_ones():
    """Networks of full size without storage."""
    import torch
    from segment_anything.build_sam import build_sam_vit_b, build_sam_vit_h
    from transformers import Sam2Config, Sam2Model

    with torch.device("meta"):
        return {
            "vit_b": SamNetwork(build_sam_vit_b(), "sam"),
            "vit_h": SamNetwork(build_sam_vit_h(), "sam"),
            "sam2": Sam2Network(Sam2Model(Sam2Config())),
        }


@pytest.mark.slow
def test_a_frozen_encoder_takes_less_than_adapters_and_these_less_than_all(large_ones):
    for name in ("vit_b", "sam2"):
        totals = [
            estimate_memory(large_ones[name], TrainingSettings(encoder=encoder), 100, "cpu", free=1000.0).total
            for encoder in ("frozen", "lora", "full")
        ]
        assert totals == sorted(totals)
        assert 1 < totals[0] < 8
        assert 5 < totals[2] < 24
    everything = estimate_memory(large_ones["vit_h"], TrainingSettings(encoder="full"), 1, "cpu", free=1000.0)
    # 641 million numbers: weights, gradients and two moments are 10 GB before anything is computed.
    assert everything.trained_numbers == pytest.approx(641e6, rel=0.01)
    assert everything.weights + everything.learning == pytest.approx(641e6 * 16 / 1024**3, rel=0.01)
    assert everything.total > 24


@pytest.mark.slow
def test_fewer_prompts_take_less(large_ones):
    few, many = (
        estimate_memory(large_ones["sam2"], TrainingSettings(prompts=prompts), 1, "cpu", free=1000.0).answers
        for prompts in (2, 8)
    )
    assert many == pytest.approx(4 * few, rel=0.2)


@pytest.mark.slow
def test_it_says_what_there_is_and_what_to_change(large_ones):
    told = estimate_memory(large_ones["vit_b"], TrainingSettings(encoder="full"), 10, "cpu", free=4.0)
    assert not told.fits
    assert "of 4.0 GB that are free" in told.words()
    assert REFERENCE in told.words()
    ways = "; ".join(ways_out(TrainingSettings(encoder="full"), "cpu"))
    assert 'encoder = "frozen" or "lora"' in ways
    assert "prompts = 4" in ways
    tight = estimate_memory(large_ones["vit_b"], TrainingSettings(), 10, "cpu", free=told.total / 2)
    assert tight.fits or tight.total > told.total / 2
    assert (free_memory("cpu") or 1) > 0


def test_the_network_is_not_touched(data):
    network = open_network(resolve("starter-sam", data))
    names = list(network.module.state_dict())
    told = estimate_memory(network, TrainingSettings(), 10, "cpu")
    assert told.trained_numbers == sum(value.numel() for value in network.module.parameters())
    assert list(network.module.state_dict()) == names
    assert not any(value.requires_grad for value in network.module.parameters())
    assert all(value.device.type == "cpu" for value in network.module.parameters())


def test_a_checkpoint_as_it_is_written_counts_where_it_lies(data):
    network = open_network(resolve("starter-sam", data))
    told = estimate_memory(network, TrainingSettings(), 10, "cpu")
    # Weights and two moments of float32 as one piece of bytes.
    assert told.saving == pytest.approx(3 * 4 * told.trained_numbers / 1024**3)
    assert told.total == pytest.approx(replace(told, saving=0.0).total + told.saving)
    on_gpu = replace(told, device="cuda")
    assert on_gpu.total == replace(on_gpu, saving=0.0).total


def test_kept_embeddings_count_with_the_holes_between_them(data):
    network = open_network(resolve("starter-sam", data))
    few, many = (estimate_memory(network, TrainingSettings(), pages, "cpu", free=1000.0) for pages in (20, 200))
    # What a tune on 200 drawn pages took; 2.6 GB were told of it when holes were not counted.
    assert 3.3 < many.total < 3.6
    assert many.total - few.total == pytest.approx(1.6 * (many.cache - few.cache))
    assert f"holes between them {many.holes:.2f}" in many.words()
    nothing = estimate_memory(network, TrainingSettings(cache="none"), 200, "cpu", free=1000.0)
    assert (nothing.cache, nothing.holes) == (0, 0)


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts_as_what_is_free(tmp_path, monkeypatch, version):
    own = tmp_path / "own"
    if version == 2:
        own.write_text("0::/box/run\n")
        groups, names = [tmp_path / "box" / "run", tmp_path / "box"], ("memory.max", "memory.current", "inactive_file")
    else:
        own.write_text("9:name=systemd:/\n4:memory:/gone/away\n3:cpu:/\n")
        groups = [tmp_path / "memory"]
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_GROUPS", own)
    machine = free_memory("cpu")
    assert machine is not None
    assert machine > 0.1
    for group, limit in zip(
        groups, ("max", str(100 * 1024**2)) if version == 2 else (str(100 * 1024**2),), strict=True
    ):
        group.mkdir(parents=True, exist_ok=True)
        for name, text in zip(names, (limit, str(80 * 1024**2), f"anon 5\n{names[2]} {30 * 1024**2}\n"), strict=True):
            (group / ("memory.stat" if name == names[2] else name)).write_text(text)
    assert free_memory("cpu") == pytest.approx(50 / 1024)
