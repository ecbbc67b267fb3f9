"""A weights file that is a pickle of foreign code becomes one of plain numbers, in a process that is shut in.

A `.pt` or `.pth` is a program: opening it in full runs whatever its maker wrote. The stages open such files only as
numbers or with an allow-list and refuse the rest; here a person who trusts a file enough to try it has it unpickled
once, without network or sockets, where nothing of the person's is in sight, and under limits. What comes out is read by
the strict openers only, since what ran may have written anything. `python -m lora_assets.training.converting FILE` is
the inner program. How a process is shut in is in models.confinement.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_assets.atomic import held_folder
from lora_assets.models import ModelError, OpenWeights, add
from lora_assets.models.confinement import Limits, run_confined
from lora_assets.models.families import guess_family
from lora_assets.vision.sam import read_tensors
from lora_assets.vision.yolo import YoloLimits, import_ultralytics, load_yolo

_TENSORS, _YOLO, _REASON = "converted.safetensors", "converted.pt", "reason.json"
_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
# Under which names checkpoints keep their weights, the smoothed ones first.
_INNER_NAMES = ("ema", "params_ema", "model_ema", "model", "state_dict", "model_state_dict", "params", "net", "weights")
_DEEPEST = 4


def convert(file: Path, data: Path, name: str | None = None, limits: Limits | None = None) -> OpenWeights:
    """Unpickle `file` shut in, take its numbers into `data/models/` under `name` (its stem by default).

    An Ultralytics model becomes a `.pt` that asks for Ultralytics' own classes only, anything else a `.safetensors`.
    Raises ModelError, naming file, reason and way out, when nothing usable comes out; the file itself is not changed.
    """
    file = file.expanduser()
    if not file.is_file():
        seen = "is no file" if file.exists() else "is not there"
        raise ModelError(f"{file} {seen}: name the weights file that is to be converted by its whole path")
    if file.suffix.lower() not in _SUFFIXES:
        raise ModelError(
            f"{file} does not end in {', '.join(_SUFFIXES)}, so it holds no pickle to convert; weights of other "
            f"formats are taken as they are: lora-assets models add {file}"
        )
    models = data / "models"
    with held_folder(models / f".tmp-convert-{secrets.token_hex(6)}") as folder:
        folder.chmod(0o700)
        shutil.copyfile(file, folder / f"weights{file.suffix.lower()}")
        command = [sys.executable, "-I", "-m", __name__, f"weights{file.suffix.lower()}"]
        ended = run_confined(command, folder, limits)
        made = [folder / each for each in (_TENSORS, _YOLO) if _is_plain_file(folder / each)]
        if ended.returncode != 0 or len(made) != 1:
            raise ModelError(f"{file} could not be converted: {_reason(folder, ended.returncode, ended.stderr)}")
        _open_strictly(made[0], file)
        # Named as the person's file: the stem becomes the name under which it is known.
        result = made[0].with_name(f"{file.stem}{made[0].suffix}")
        made[0].rename(result)
        return add(result, data, name)


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _reason(folder: Path, code: int, errors: str) -> str:
    """Why the inner program gave nothing, in one line of printable text: it may have said anything."""
    told = ""
    if _is_plain_file(folder / _REASON):
        with (folder / _REASON).open("rb") as handle:  # it may be of any size
            told = handle.read(1600).decode("utf-8", "replace")[:400]
    told = told or (errors.strip().splitlines()[-1:] or [""])[0]
    plain = "".join(char if char.isprintable() else " " for char in told).strip()
    ended = f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"
    return f"{plain or ended}; choose other weights: lora-assets models list"


def _open_strictly(made: Path, file: Path) -> None:
    """What came out, opened as a stage will open it. Raises ModelError when it is refused there too."""
    try:
        guess_family(made)
        if made.name == _YOLO:
            load_yolo(made, YoloLimits(0.25, 0.45, 1, 0))
        else:
            read_tensors(made)
    except ModelError as error:
        raise ModelError(f"{file} was converted, but what came out is refused: {error}") from error


# --- the inner program -----------------------------------------------------------------------------------------------


def _tensors(stored: Any, depth: int = 0) -> dict[str, Any]:
    """The named tensors of what a checkpoint holds: of a module, of a dictionary, or of one inside it; {} for none."""
    import torch

    if isinstance(stored, torch.nn.Module):
        stored = stored.float().state_dict()
    if not isinstance(stored, Mapping) or depth > _DEEPEST:
        return {}
    found = {str(name): value for name, value in stored.items() if isinstance(value, torch.Tensor)}
    if found:
        return {name: value.detach().cpu().clone().contiguous() for name, value in found.items()}
    inner = (_tensors(stored[name], depth + 1) for name in _INNER_NAMES if name in stored)
    return next((tensors for tensors in inner if tensors), {})


def _ultralytics_model(stored: Any) -> Any:
    """The model of an Ultralytics checkpoint; None for other files."""
    if not isinstance(stored, Mapping):
        return None
    model = stored.get("ema") or stored.get("model")
    return model if type(model).__module__.startswith("ultralytics.") else None


def _unpickle(path: Path) -> None:
    """Run the pickle, and write its numbers beside it."""
    import torch
    from safetensors.torch import save_file

    import_ultralytics()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The one place of the package where a pickle runs: this process is shut in.
        stored = torch.load(path, map_location="cpu", weights_only=False)
    model = _ultralytics_model(stored)
    if model is not None:
        side = (stored.get("train_args") or {}).get("imgsz")
        told = {"imgsz": side} if isinstance(side, int) else {}
        torch.save({"model": model.float(), "train_args": told}, _YOLO)
        return
    tensors = _tensors(stored)
    if not tensors:
        raise ValueError(f"it holds no model and no dictionary of tensors, but {type(stored).__name__}")
    save_file(tensors, _TENSORS)


def main(path: Path) -> int:
    """Convert `path` in the current folder; the exit code, with the reason in a file."""
    try:
        _unpickle(path)
    except BaseException as error:  # noqa: BLE001 - foreign code raises whatever it likes
        Path(_REASON).write_text(f"{type(error).__name__}: {error}"[:400], encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
