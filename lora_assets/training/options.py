"""The command line that both trainings share: options, and settings taken from them.

An option stands for every number of a training's settings; what the numbers do is written where they are defined.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

Settings = TypeVar("Settings")


def add_training_options(parser: argparse.ArgumentParser, defaults: object) -> None:
    """Add where frames, weights and checkpoint lie, and one option per number in the dataclass `defaults`."""
    parser.add_argument("--frames-folder", type=Path, required=True, help="drawn frames are kept here and used again")
    parser.add_argument(
        "--out", type=Path, help="the weights file, CARD.json beside it (default: among the frames; `starters --take`)"
    )
    parser.add_argument("--checkpoint", type=Path, help="state of the training (default: among the frames)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint after a kill")
    parser.add_argument("--start", type=Path, help="begin with the averaged weights of an earlier checkpoint")
    parser.add_argument("--publish-minutes", type=float, default=10.0, help="write weights and card this often")
    parser.add_argument("--processes", type=int, default=1, help="processes that draw frames")
    parser.add_argument("--feeders", type=int, help="processes that make batches (default: none on a CPU)")
    for field in fields(defaults):  # pyright: ignore[reportArgumentType]
        value = getattr(defaults, field.name)
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=type(value), default=value, help=f"default {value}")


def run_training(
    arguments: Sequence[str] | None,
    train: Callable[..., object],
    defaults: object,
    *,
    weights_name: str,
    module: str,
    description: str | None,
) -> None:
    """The command of a training `module`: `train` with the chosen options and settings. Weights of this name lie among
    the frames where the command names no other place."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    add_training_options(parser, defaults)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(
        chosen.frames_folder,
        chosen.out or chosen.frames_folder / weights_name,
        settings_from_options(chosen, defaults),
        checkpoint=chosen.checkpoint,
        resume=chosen.resume,
        start=chosen.start,
        publish_minutes=chosen.publish_minutes,
        processes=chosen.processes,
        feeders=chosen.feeders,
    )


def settings_from_options(chosen: argparse.Namespace, defaults: Settings) -> Settings:
    """The settings dataclass with the values chosen on the command line."""
    names = [field.name for field in fields(defaults)]  # pyright: ignore[reportArgumentType]
    return replace(defaults, **{name: getattr(chosen, name) for name in names})  # pyright: ignore[reportArgumentType, reportCallIssue]
