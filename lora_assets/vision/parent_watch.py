"""The end of a helper process with the process that started it (line_process), also when that was killed."""

from __future__ import annotations

import os
import threading
import time

_LOOK_SECONDS = 1.0


def end_with(parent: int) -> None:
    """End this process when its parent (a process number) is gone, also in the middle of a request. Not by
    PR_SET_PDEATHSIG, which fires when the thread ends that started the process."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
