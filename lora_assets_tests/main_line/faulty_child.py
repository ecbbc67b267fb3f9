"""The program of a reading process whose decoder does what real ones have done: crash, abort, hang, take all memory.

A picture says by a text at its end what is to happen; all others are read as usual.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from lora_assets.vision import images
from lora_assets.vision.reading_child import main

FAULTS = ("SEGV", "ABRT", "KILL", "EXIT", "HANG", "MEMORY", "PRINT", "ONCE")
_decode = images.decode_image


def mark(fault: str) -> bytes:
    """What a file ends with to bring a fault about."""
    return f"<fault {fault}>".encode()


def _decode_or_fail(content: bytes, settings: images.ReadSettings) -> images.DecodedImage:
    fault = next((name for name in FAULTS if content.endswith(mark(name))), "")
    if fault in ("SEGV", "ABRT", "KILL"):
        os.kill(os.getpid(), getattr(signal, f"SIG{fault}"))
    if fault == "EXIT":
        os._exit(3)
    if fault == "HANG":
        time.sleep(3600)
    if fault == "MEMORY":
        bytearray(1 << 40)
    if fault == "PRINT":
        os.write(1, b"libjpeg: a warning\n")
    if fault == "ONCE":
        content, been = content.removesuffix(mark(fault)).rsplit(b"<once>", 1)
        if not Path(os.fsdecode(been)).exists():
            Path(os.fsdecode(been)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return _decode(content.removesuffix(mark(fault)) if fault else content, settings)


if __name__ == "__main__":
    images.decode_image = _decode_or_fail
    main()
