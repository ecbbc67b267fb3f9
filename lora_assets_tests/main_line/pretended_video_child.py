"""A process that answers like the one that reads videos, without a decoder: two frames for each frame a second that is
asked for. It refuses a file named REFUSED and crashes in the middle of one named SEGV.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Answer requests until standard input ends."""
    count = int(2 * json.loads(sys.argv[1])["video"]["rate"])

    def send(told: dict, tail: bytes = b"") -> None:
        sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + tail)
        sys.stdout.buffer.flush()

    send({"ready": os.getpid()})
    for line in sys.stdin.buffer:
        path = Path(json.loads(line)["path"])
        if path.stem == "REFUSED":
            send({"reason": "holds sound and no video"})
            continue
        for number in range(count):
            content = hashlib.sha256(path.read_bytes() + bytes([number])).digest()
            send({"frame": {"seconds": number / 2, "index": 12 * number, "shot": 0}, "png": len(content)}, content)
            if path.stem == "SEGV":
                os.kill(os.getpid(), signal.SIGSEGV)
        send({"facts": {"frames": 12 * count, "shots": 1, "drawings": count}})


if __name__ == "__main__":
    main()
