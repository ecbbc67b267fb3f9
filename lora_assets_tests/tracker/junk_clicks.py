"""The clicking process of a model whose library prints among its answers, and that lives on. It tests nothing itself.

The first answers are right; a click in the left two columns is answered by what no answer looks like.
"""

from __future__ import annotations

import json
import sys
import threading

from lora_assets.vision import parent_watch

PROGRAM = "lora_assets_tests.tracker.junk_clicks"


def main() -> None:
    """Answer as `click_child.main` does, without any picture."""
    parent_watch.end_with(int(sys.argv[2]))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        x = request.get("points", [[100, 0]])[0][0]
        held = [[request["tracker"], request["frame"]]]
        print("Downloading: 100%" if x < 2 else json.dumps({"model": "junk", "held": held}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
