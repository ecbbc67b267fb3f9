"""How models and OpenCV share the cores when frames are worked on side by side.

What belongs elsewhere: which device is used and how many frames run at once (device).
"""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from torch import nn


def one_thread_per_call() -> None:
    """Make every torch and OpenCV call of this process use one thread.

    Call it before the worker threads start: frames side by side on all cores are faster than one frame on all cores,
    and libraries that each start threads of their own get in each other's way.
    """
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def share_weights(model: nn.Module) -> nn.Module:
    """A module tree of its own over the same parameters and buffers: it costs no memory worth naming.

    Modules that keep something between calls (the head of YOLO keeps its anchors) are then safe side by side.
    """
    memo = {id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())}
    return copy.deepcopy(model, memo)


def per_thread(model: nn.Module) -> Callable[[], nn.Module]:
    """A function that gives the calling thread its own module tree over the weights of `model`."""
    local, lock = threading.local(), threading.Lock()

    def mine() -> nn.Module:
        replica = getattr(local, "model", None)
        if replica is None:
            with lock:
                replica = share_weights(model)
            local.model = replica
        return replica

    return mine
