"""Putting a trained page detector into the package, as what `starter-pages` names.

`python -m lora_assets.finetuning.page_starter NAME`, for those who make the package. How it is trained is in
page_detector, how it is named and judged in page_cards.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from lora_assets.finetuning.page_cards import detector_path, score_figures
from lora_assets.finetuning.page_detector import open_page_detector
from lora_assets.models import ModelError
from lora_assets.starter import STARTER_FOLDER, STARTER_PAGES
from lora_assets.starter.card import LARGEST_STARTER_BYTES, CardEntry
from lora_assets.store import atomic_write_bytes
from lora_assets.training.card_entry import write_entry

RENDERER = "lora_assets.scenes.draw_comic_page"
LEAST_MEAN_AP = 0.6
"""Below this mean AP (IoU 0.5) on unseen layouts a detector does not help anybody who has not trained one."""


def put_into_package(data: Path, name: str, folder: Path = STARTER_FOLDER, *, phases: Sequence[str] = ()) -> CardEntry:
    """Copy the weights of the detector `name` into `folder` and write their entry of the package's card.

    `phases` tell in words of earlier trainings that its own began with.
    Raises ModelError for a detector that is not there, too weak, too large, or measured on the titles it was tuned on.
    """
    opened = open_page_detector(data, name)
    card, weights = opened.card, detector_path(data, name).read_bytes()
    if card.mean_average_precision < LEAST_MEAN_AP or not card.held_out:
        raise ModelError(
            f"{name} reaches a mean AP of {card.mean_average_precision:.2f}"
            f"{'' if card.held_out else ' on val of one title'}: train it until it has {LEAST_MEAN_AP} on several"
        )
    if len(weights) > LARGEST_STARTER_BYTES:
        raise ModelError(f"{name} has {len(weights)} bytes, the package takes {LARGEST_STARTER_BYTES} at most")
    path = folder / STARTER_PAGES.name
    atomic_write_bytes(path, weights)
    return write_entry(
        path,
        "finds panels, bubbles, characters and text on comic pages (Ultralytics YOLO)",
        seconds_trained=card.seconds_trained,
        data={"renderer": RENDERER, "set_digest": card.data_digest} | _set_record(card.data),
        architecture={
            "input_size": card.settings["side"],
            "labels": [label for _, label in card.categories],
            "network": card.settings["network"],
        },
        settings=dict(card.settings)
        | {"steps_trained": card.steps, "start": Path(str(card.settings["start"])).name}
        | {"phases": list(phases)},
        figures=score_figures(card),
    )


def _set_record(root: str) -> dict[str, object]:
    """What the set's own file tells of how it was drawn; nothing for a set that is gone by now."""
    try:
        told = json.loads((Path(root) / "annotations.json").read_text(encoding="utf-8"))
        images = told["images"]
        return {
            "first_seed": told["info"]["first_seed"],
            "pages": len(images),
            "page_sizes": sorted({f"{image['width']}x{image['height']}" for image in images}),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: a detector of this project's data folder becomes the packaged one."""
    parser = argparse.ArgumentParser(prog="python -m lora_assets.finetuning.page_starter", description=main.__doc__)
    parser.add_argument("name", help="a page detector of data/models/page_detectors")
    parser.add_argument("--data", type=Path, required=True, help="the data folder that it lies in")
    parser.add_argument("--phase", action="append", default=[], help="an earlier training that it began with, in words")
    told = parser.parse_args(arguments)
    entry = put_into_package(told.data, told.name, phases=told.phase)
    print(f"{entry.file}: {entry.bytes} bytes, SHA-256 {entry.sha256}")


if __name__ == "__main__":
    main()
