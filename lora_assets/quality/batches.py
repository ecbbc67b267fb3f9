"""Batches for a model, halved when memory runs out. Which batch size to begin with is a setting."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from lora_assets.models import ModelError

Item = TypeVar("Item")
Result = TypeVar("Result")

_SIGNS = ("out of memory", "failed to allocate memory", "bad allocation", "not enough memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """True for the ways in which torch, onnxruntime, OpenCV and Python say that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)


class Batches:
    """Runs a model over items in batches of at most `size`. After a shortage the smaller size stays."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, work: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]) -> list[Result]:
        """The results of all items in order. A batch that does not fit is halved and tried again; raises ModelError
        when not even one item fits."""
        results: list[Result] = []
        while len(results) < len(items):
            batch = items[len(results) : len(results) + self.size]
            try:
                results.extend(work(batch))
                continue
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise ModelError(
                        "memory does not suffice for a single picture of this model: free memory, set device = "
                        f'"cpu" or one_model_at_a_time = true in section [quality], or leave the metric out ({error})'
                    ) from error
            # Outside the handler: the error's frames hold the tensors of the failed batch.
            self.size = max(1, len(batch) // 2)
            _free_cache()
        return results


def _free_cache() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
