from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.models import ModelError
from lora_assets.quality.batches import Batches, is_out_of_memory


class _SmallMemory:
    """A model that squares numbers and has memory for `room` of them; it tells each batch that it was asked."""

    def __init__(self, room: int, error: type[Exception], text: str) -> None:
        self.room, self.error, self.text = room, error, text
        self.asked: list[int] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.asked.append(len(batch))
        if len(batch) > self.room:
            raise self.error(self.text)
        return [item * item for item in batch]


@given(
    count=st.integers(0, 40), size=st.integers(1, 64), room=st.integers(1, 64),
    shortage=st.sampled_from(
        [(RuntimeError, "CUDA out of memory. Tried to allocate 2 GiB"), (MemoryError, ""),
         (RuntimeError, "Failed to allocate memory for requested buffer of size 9")]
    ),
)  # fmt: skip
def test_batches_are_halved_and_nothing_is_lost(
    count: int, size: int, room: int, shortage: tuple[type[Exception], str]
) -> None:
    model, batches = _SmallMemory(room, *shortage), Batches(size)
    assert batches.run(model, range(count)) == [item * item for item in range(count)]
    assert batches.size <= size
    if count >= size:  # a full batch was tried: the size that fitted stays
        fitted = len(model.asked)
        batches.run(model, range(count))
        assert all(asked <= room for asked in model.asked[fitted:])


def test_torchs_own_error_is_known() -> None:
    import torch

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(ValueError("shape mismatch"))


def test_a_single_picture_that_does_not_fit_says_the_way_out() -> None:
    with pytest.raises(ModelError, match="single picture"):
        Batches(8).run(_SmallMemory(0, MemoryError, ""), [1, 2, 3])


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(KeyError):
        Batches(8).run(_SmallMemory(0, KeyError, "name"), [1])
