"""Ultralytics YOLO weights (`.pt`, tasks detect, segment and pose) as a function from a frame to raw boxes.

Ultralytics is imported in one place and made harmless first: no network, no installing, no telemetry, no unpickling of
unknown code, and Pillow left as it is. What belongs elsewhere: labels, subjects and several detectors (detect).
"""

from __future__ import annotations

import atexit
import os
import pickle
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.vision.boxes import KEY_POINTS, FloatArray
from lora_assets.vision.device import device
from lora_assets.vision.letterbox import Letterbox, letterbox_for, round_up
from lora_assets.vision.several_looks import FoundBoxes, Look, look_several_times
from lora_assets.vision.threads import per_thread

if TYPE_CHECKING:
    from torch import nn

_TASKS = ("detect", "segment", "pose")
_FALLBACK_SIDE = 640
_KNOWN_MODULES = ("torch.", "ultralytics.", "collections.", "numpy.", "pathlib.", "builtins.getattr", "__builtin__.")


@dataclass(frozen=True, slots=True)
class YoloLimits:
    """What a YOLO model is asked: least confidence, overlap above which the less sure box falls, most boxes, the longer
    side of the input in pixels (0: the weights' own), and several looks instead of that one (none: one look)."""

    conf: float
    iou: float
    max_det: int
    imgsz: int
    looks: tuple[Look, ...] = ()

    def looks_at(self, own_side: int) -> tuple[Look, ...]:
        """The looks of weights that were trained at `own_side` pixels."""
        return self.looks or (Look(self.imgsz or own_side),)


@dataclass(frozen=True, slots=True, eq=False)
class Yolo:
    """A loaded YOLO model: class names by number, and the function that runs it on uint8 RGB frames."""

    names: tuple[str, ...]
    find: Callable[[npt.NDArray[np.uint8]], FoundBoxes]


def import_ultralytics() -> None:
    """Import Ultralytics safely. Every other import of it in this package happens after a call of this."""
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "1"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    if "YOLO_CONFIG_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="lora_assets-ultralytics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["YOLO_CONFIG_DIR"] = folder
    from PIL import Image
    from ultralytics.nn import tasks
    from ultralytics.utils import SETTINGS, patches

    # Ultralytics reads its switches at import: somebody may have imported it before this function ran.
    tasks.SAFE_LOAD = True  # pyright: ignore[reportPrivateImportUsage]
    # It replaces Pillow's opener by one that tries to install a package for every unreadable picture.
    Image.open = patches._image_open
    if SETTINGS["sync"]:
        SETTINGS.update(sync=False)


def load_yolo(path: Path, limits: YoloLimits) -> Yolo:
    """The model of an Ultralytics `.pt` file. Raises ModelError, naming file, reason and way out.

    The file is opened with an allow-list of model classes: a pickle that asks for anything else is refused before
    any of it runs. The file is never changed or deleted.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not there: fetch it with lora-assets models pull, or name another file")
    import_ultralytics()
    import torch
    import torchvision  # noqa: F401 - Ultralytics' suppression takes another path when torchvision is not imported

    model, checkpoint = _open_checkpoint(path)
    task = str(getattr(model, "task", ""))
    if task not in _TASKS:
        raise ModelError(f"{path} is a YOLO model for {task or 'an unknown task'}: choose one for {', '.join(_TASKS)}")
    names = tuple(str(name) for _, name in sorted(dict(model.names).items()))
    trained_side = (checkpoint.get("train_args") or {}).get("imgsz") or _FALLBACK_SIDE
    looks = limits.looks_at(trained_side if isinstance(trained_side, int) else max(trained_side))
    stride = max(int(model.stride.max()), 32)
    place = torch_device()
    # The frame comes with its channels last; convolutions that take it so are about 15 % faster on a CPU.
    model = model.to(place, memory_format=torch.channels_last)
    mine = per_thread(model)

    def find(image: npt.NDArray[np.uint8], side: int, conf: float) -> FoundBoxes:
        height, width = image.shape[:2]
        fit = letterbox_for(width, height, round_up(side, stride), stride)
        pixels = torch.from_numpy(fit.apply(image)).to(place).permute(2, 0, 1)[None]
        with torch.inference_mode():
            rows = _suppress(mine()(pixels.float().div_(255)), replace(limits, conf=conf), len(names), model)
        found = rows.cpu().numpy().astype(np.float64)
        points = _key_points(found[:, 6:], fit) if task == "pose" else None
        return FoundBoxes(fit.to_frame(found[:, :4]), found[:, 4], found[:, 5].astype(np.int64), points)

    return Yolo(names, look_several_times(find, looks, limits.conf, limits.iou, limits.max_det))


def _key_points(columns: FloatArray, fit: Letterbox) -> FloatArray | None:
    """Key points (N,17,3) of what follows a box's class; None for a model of other points than COCO's."""
    if columns.shape[1] != 3 * KEY_POINTS:
        return None
    points = columns.reshape(-1, KEY_POINTS, 3)
    return np.concatenate([fit.points_to_frame(points[..., :2]), np.clip(points[..., 2:], 0.0, 1.0)], axis=2)


def torch_device() -> str:
    """'cuda' or 'cpu', as `vision.device` says. Raises ModelError when a GPU is promised that torch cannot use."""
    import torch

    place = device()
    if place == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "there is an NVIDIA driver, but this torch cannot use the GPU: set LORA_ASSETS_DEVICE=cpu, or install a "
            "torch that fits the driver"
        )
    return place


def _suppress(output: Any, limits: YoloLimits, class_count: int, model: nn.Module) -> Any:
    """Rows (x1, y1, x2, y2, confidence, class, ...) of the one frame, in pixels of the model's input."""
    from ultralytics.utils.nms import non_max_suppression

    while isinstance(output, (tuple, list)):
        output = output[0]
    return non_max_suppression(
        output,
        limits.conf,
        limits.iou,
        max_det=limits.max_det,
        nc=class_count,
        end2end=bool(getattr(model, "end2end", False)),
    )[0]


def open_network(path: Path) -> nn.Module:
    """The float32 network of an Ultralytics `.pt` file as it was trained, to go on from. Raises ModelError as
    `load_yolo`."""
    import_ultralytics()
    return _open_checkpoint(path, fuse=False)[0]


def _open_checkpoint(path: Path, *, fuse: bool = True) -> tuple[Any, dict[str, Any]]:
    """The float32 model in evaluation mode, fused unless told otherwise, and the checkpoint's dictionary."""
    from ultralytics.nn.tasks import load_checkpoint

    foreign = _foreign_globals(path)
    with tempfile.TemporaryDirectory(prefix="lora_assets-weights-") as folder:
        # Ultralytics strips quotes from paths, replaces old names and downloads or deletes by name: it gets a link.
        link = Path(folder) / "weights.pt"
        link.symlink_to(path.absolute())
        try:
            return load_checkpoint(str(link), fuse=fuse)
        except (
            TypeError, RuntimeError, EOFError, pickle.UnpicklingError, ImportError, AttributeError, KeyError,
            ValueError, OSError,
        ) as error:  # fmt: skip
            reason = f"it asks for {', '.join(foreign)}" if foreign else str(error).replace(str(link), path.name)
            raise ModelError(
                f"{path} cannot be opened as a YOLO model of Ultralytics 8 or later: {reason}. "
                "Fetch the file again, choose other weights (lora-assets models list), or take its numbers out: "
                f"lora-assets models convert {path}"
            ) from error


def _foreign_globals(path: Path) -> list[str]:
    """Names in the pickle that no Ultralytics model needs, told without running it. ModelError when it is unreadable,
    or made by YOLOv5."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    if not zipfile.is_zipfile(path):
        raise ModelError(f"{path} is damaged, cut short, or no torch file: fetch it again; it was left as it is")
    try:
        names = get_unsafe_globals_in_checkpoint(str(path))
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError, IndexError, KeyError) as error:
        raise ModelError(f"{path} is damaged ({error}): fetch it again; it was left as it is") from error
    if any(name.startswith("models.yolo") for name in names):
        raise ModelError(
            f"{path} is a model of the old YOLOv5 repository, which Ultralytics 8 cannot run: use yolov5nu.pt (the "
            "same network, newer file), or weights of: lora-assets models list"
        )
    return [name for name in names if not name.startswith(_KNOWN_MODULES)]
