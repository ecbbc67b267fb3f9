"""Which device the models run on, told without importing torch (planning asks at every tick)."""

from __future__ import annotations

import os
from pathlib import Path


def device() -> str:
    """'cuda' where an NVIDIA driver is at hand, else 'cpu'; LORA_ASSETS_DEVICE overrides."""
    return os.environ.get("LORA_ASSETS_DEVICE") or ("cuda" if Path("/dev/nvidiactl").exists() else "cpu")


def worker_count() -> int:
    """Frames worked on side by side: one per core on a CPU (one thread each), a few to keep a GPU fed."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, 4)) if device() == "cuda" else max(1, cores)
