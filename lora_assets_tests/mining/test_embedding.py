from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.mining import embedding
from lora_assets.mining.descriptor import describe
from lora_assets.mining.embedding import (
    NOT_FINITE,
    Embedder,
    cut_object,
    embed_objects,
    object_picture,
    plan_embedder,
    vectors_of,
)
from lora_assets.mining.objects import list_objects
from lora_assets.mining.settings import MiningSettings
from lora_assets.mining.sources import tracker_sources
from lora_assets.models import ModelError
from lora_assets.specs import read_tracker
from lora_assets.store import Store
from lora_assets.vision.clip_embedding import ClipModel, clip_pixels
from lora_assets_tests.mining.street import make_street
from lora_assets_tests.quality.tiny import tiny_clip

CHOSEN = MiningSettings(parallel=2, batch=8)


def tiny_siglip(folder):
    """A SigLIP of random weights, pictures of 16 pixels."""
    import torch
    from transformers import SiglipConfig, SiglipModel

    layers = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(3)
    config = SiglipConfig(
        text_config={**layers, "vocab_size": 30, "max_position_embeddings": 8},
        vision_config={**layers, "image_size": 16, "patch_size": 8},
    )
    SiglipModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def street(data):
    make_street(data)
    return data


def _embed(data, embedder, settings=CHOSEN):
    store = Store(data)
    sources = tracker_sources(store, read_tracker(data, "STREET-1"))
    listed = list_objects(store, sources, settings, None)
    return embed_objects(store, sources, listed.kept, listed.passed, embedder, settings)


def _counted(embedder: Embedder, seen: list[int]) -> Embedder:
    inner = embedder.open()

    def embed(pictures):
        seen.append(len(pictures))
        return inner(pictures)

    return Embedder(embedder.name, embedder.recipe, lambda: embed)


def test_without_a_checkpoint_the_descriptor_stands_in_and_says_so(street):
    planned = plan_embedder(CHOSEN, street)
    assert planned.is_builtin
    assert "built-in descriptor" in planned.why
    made = _embed(street, planned)
    assert {row.embedder for row in made.rows} == {"descriptor"}
    vectors, places = vectors_of(made.rows)
    assert len(places) == len(made.rows) == made.computed
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    assert all(object_picture(Store(street), row.object_id).stat().st_size for row in made.rows)


def test_only_what_is_new_is_computed(street):
    seen: list[int] = []
    planned = _counted(plan_embedder(CHOSEN, street), seen)
    first = _embed(street, planned)
    assert sum(seen) == first.computed == len(first.rows)
    assert max(seen) == CHOSEN.batch
    seen.clear()
    again = _embed(street, planned)
    assert seen == []
    assert again.computed == 0
    assert again.rows == first.rows
    object_picture(Store(street), first.rows[0].object_id).unlink()
    assert _embed(street, planned).computed == 0
    assert object_picture(Store(street), first.rows[0].object_id).exists()


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_clip, tiny_siglip], ids=["clip", "siglip"])
def test_a_checkpoint_makes_the_vectors_that_transformers_makes(street, make):
    folder = make(street / "models" / "my-clip")
    planned = plan_embedder(MiningSettings(clip_model="my-clip", device="cpu"), street)
    assert (planned.name, planned.why) == ("my-clip", "")
    made = _embed(street, planned)
    vectors, _ = vectors_of(made.rows)
    source = next(
        s for s in tracker_sources(Store(street), read_tracker(street, "STREET-1")) if made.rows[0].dataset == s.dataset
    )
    row = made.rows[0]
    view = cut_object(source.pixels(row.frame_sha256), (row.x1, row.y1, row.x2, row.y2), 0.0, 448)
    model = ClipModel(folder, "cpu", half=True)
    half = (0.5, 0.5, 0.5)
    pixels = clip_pixels(view, 16, "pad", *((half, half) if make is tiny_siglip else ()))
    wanted = model.embed(pixels[None])[0]
    np.testing.assert_allclose(vectors[0], wanted / np.linalg.norm(wanted), atol=3e-3)
    assert model.half is False


def test_other_weights_are_another_shelf(street):
    tiny_clip(street / "models" / "one")
    tiny_clip(street / "models" / "two", width=6)
    one, two = (plan_embedder(MiningSettings(clip_model=name), street) for name in ("one", "two"))
    assert one.digest != two.digest
    os.rename(street / "models" / "one", street / "models" / "renamed")
    assert plan_embedder(MiningSettings(clip_model="renamed"), street).digest == one.digest


def test_a_named_checkpoint_that_is_not_there_or_is_none_is_an_error(street, tmp_path):
    with pytest.raises(ModelError, match=r"clip_model 'nowhere': there is no CLIP model in .*config.json"):
        plan_embedder(MiningSettings(clip_model="nowhere"), street)
    folder = tiny_clip(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="broken cannot be opened"):
        _embed(street, plan_embedder(MiningSettings(clip_model=str(folder)), street))
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        plan_embedder(MiningSettings(clip_model=str(folder)), street)


def test_a_model_that_answers_nan_leaves_the_object_without_a_vector(street):
    def embed(pictures):
        found = np.stack([describe(picture) for picture in pictures])
        found[0] = np.nan
        found[1] = 0
        return found

    made = _embed(street, Embedder("odd", {"of": "test"}, lambda: embed))
    told = [row.no_vector for row in made.rows if row.vector is None]
    assert told.count(NOT_FINITE) == -(-len(made.rows) // CHOSEN.batch)
    assert "the model answered with zeros" in told
    assert made.computed == len(made.rows) - len(told)


def test_a_lost_frame_is_told_and_tried_again(street):
    path = next(iter(sorted((street / "input" / "day-1").glob("[!.]*"))))
    content = path.read_bytes()
    path.write_bytes(b"other bytes")
    planned = plan_embedder(CHOSEN, street)
    made = _embed(street, planned)
    lost = [row for row in made.rows if row.vector is None]
    assert len(lost) == 3
    assert "changed after it was listed" in (lost[0].no_vector or "")
    path.write_bytes(content)
    again = _embed(street, planned)
    assert again.computed == 3
    assert not again.lost


def test_what_fails_midway_keeps_what_is_done(street, monkeypatch):
    monkeypatch.setattr(embedding, "_CHUNK", 8)
    planned = plan_embedder(CHOSEN, street)
    calls = 0

    def embed(pictures):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return np.stack([describe(picture) for picture in pictures])

    with pytest.raises(KeyboardInterrupt):
        _embed(street, Embedder(planned.name, planned.recipe, lambda: embed))
    assert _embed(street, planned).computed == len(_embed(street, planned).rows) - 16


@given(
    st.tuples(*[st.floats(-50, 150) for _ in range(4)]), st.floats(0, 1), st.integers(1, 60), st.integers(1, 60),
    st.sampled_from([None, 1, 20]),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_any_box_gives_a_picture_and_a_vector(box, margin, width, height, side):
    box = (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
    frame = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    picture = cut_object(frame, box, margin, side)
    assert min(picture.shape[:2]) >= 1
    assert max(picture.shape[:2]) <= (side or 60)
    vector = describe(picture)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-4)


def test_the_descriptor_tells_looks_apart():
    rng = np.random.default_rng(1)
    red = np.zeros((30, 40, 3), np.uint8) + np.array([200, 30, 30], np.uint8)
    noisy = np.clip(red + rng.integers(-9, 9, red.shape), 0, 255).astype(np.uint8)
    stripes = np.where(np.arange(40)[None, :, None] // 4 % 2, np.uint8(255), np.uint8(0)) * np.ones(
        (30, 1, 3), np.uint8
    )
    assert describe(red) @ describe(noisy) > 0.9 > describe(red) @ describe(stripes)
