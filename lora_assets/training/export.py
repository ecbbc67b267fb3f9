"""Export of trained weights for ONNX Runtime: the starter YOLO, and the image encoder of a Segment Anything model.

`python -m lora_assets.training.export`. The exported detector is compared with its source on drawn frames before it
takes its place beside it. The exporter needs the package `onnx`, which running the result does not. Running an exported
detector belongs to `lora_assets.vision.yolo_onnx`; how fast each form is, to `lora_assets.benchmarks.model_speed`.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lora_assets.starter import STARTER_CARD, STARTER_FOLDER, STARTER_YOLO, STARTER_YOLO_ONNX
from lora_assets.starter.card import LARGEST_STARTER_BYTES, CardEntry, CardError, check_file, file_digest, read_card
from lora_assets.store import atomic_write_bytes, put_in_place
from lora_assets.training.card_entry import write_entry
from lora_assets.training.rendered import draw_frame
from lora_assets.training.schedule import TrainingError
from lora_assets.vision.yolo import YoloLimits, import_ultralytics, load_yolo
from lora_assets.vision.yolo_onnx import load_yolo_onnx

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import nn

OPSET = 17
"""Operators of ONNX 1.12, which every ONNX Runtime since 1.12 runs."""
COMPARED_SEEDS = range(940_000, 940_024)
"""Seeds of the frames that both forms of a detector are compared on; no training and no measurement draws them."""
LARGEST_BOX_DIFFERENCE = 0.5
"""Pixels of the frame that an edge of a box may move by the export."""
CONFIDENCE_SLACK = 1e-3
"""A box that is so little surer than the least confidence may be missing in the other form."""

_LIMITS = YoloLimits(conf=0.25, iou=0.45, max_det=100, imgsz=0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two forms of a detector agree: boxes compared, boxes that only one of them finds, and the largest
    differences of an edge (pixels of the frame) and of a confidence among the others."""

    boxes: int
    unmatched: int
    box_difference: float
    confidence_difference: float


def export_detector(weights: Path, out: Path, frames: Sequence[np.ndarray]) -> Agreement:
    """Write the Ultralytics detector `weights` (`.pt`) to `out` as ONNX, float32, for frames of any size.

    The file takes `images[1,3,h,w]` (RGB, 0 to 1, sides that 32 divides) and gives `output0[1,4+classes,N]`; its
    metadata name the classes, the longer side that it was trained at, and the digest of `weights`. It only takes the
    place of `out` when it finds the same boxes in the RGB `frames`; raises TrainingError otherwise, and when the
    package `onnx` is missing or the file is too large for the package.
    """
    content = _detector_as_onnx(weights)
    if len(content) > LARGEST_STARTER_BYTES:
        raise TrainingError(
            f"{weights.name} becomes {len(content)} bytes as ONNX, but a starter may have {LARGEST_STARTER_BYTES}: "
            "train a smaller network, or ship the .pt file"
        )
    candidate = out.with_name(f"candidate-{out.name}")
    atomic_write_bytes(candidate, content)
    try:
        agreement = compare_detectors(weights, candidate, frames)
        if agreement.unmatched or agreement.box_difference > LARGEST_BOX_DIFFERENCE:
            raise TrainingError(f"the exported {out.name} does not answer as {weights.name} does: {agreement}")
        put_in_place(candidate, out)
    finally:
        candidate.unlink(missing_ok=True)
    return agreement


def compare_detectors(weights: Path, exported: Path, frames: Sequence[np.ndarray]) -> Agreement:
    """Ask both forms of a detector, as the product runs them, for the boxes of RGB `frames`."""
    source, other = load_yolo(weights, _LIMITS), load_yolo_onnx(exported, _LIMITS)
    boxes, unmatched, furthest, least_alike = 0, 0, 0.0, 0.0
    for frame in frames:
        first, second = source.find(frame), other.find(frame)
        for one, two in ((first, second), (second, first)):
            for row in np.flatnonzero(one.confidence > _LIMITS.conf + CONFIDENCE_SLACK):
                same = np.flatnonzero(two.classes == one.classes[row])
                moved = np.abs(two.xyxy[same] - one.xyxy[row]).max(axis=1)
                if len(same) == 0 or moved.min() > 10 * LARGEST_BOX_DIFFERENCE:
                    unmatched += 1
                    continue
                best = int(moved.argmin())
                furthest = max(furthest, float(moved[best]))
                least_alike = max(least_alike, abs(float(two.confidence[same[best]] - one.confidence[row])))
        boxes += len(first.classes)
    return Agreement(boxes, unmatched, furthest, least_alike)


def export_starter(folder: Path = STARTER_FOLDER) -> CardEntry:
    """Export the starter YOLO of `folder` unless its ONNX file is already that of the weights; returns its card entry.

    Raises CardError when the weights are not those of their card, and TrainingError as `export_detector` does.
    """
    card, source, out = folder / STARTER_CARD.name, folder / STARTER_YOLO.name, folder / STARTER_YOLO_ONNX.name
    entries = read_card(card)
    if source.name not in entries:
        raise CardError(f"{card} does not name {source.name}: train it with python -m lora_assets.training.detector")
    entry = entries[source.name]
    check_file(source, entry)
    if is_exported(out, entries, entry):
        return entries[out.name]
    agreement = export_detector(source, out, [draw_frame(seed).image for seed in COMPARED_SEEDS])
    return write_entry(
        out,
        f"{entry.purpose}, as ONNX",
        seconds_trained=entry.seconds_trained,
        data=entry.data,
        architecture=entry.architecture,
        settings={"opset": OPSET, "exported_with": _exporter()},
        figures={
            "export_boxes_compared": float(agreement.boxes),
            "export_boxes_of_one_form_only": float(agreement.unmatched),
            "export_largest_box_difference_pixels": round(agreement.box_difference, 5),
            "export_largest_confidence_difference": round(agreement.confidence_difference, 6),
        },
        exported_from=entry.sha256,
    )


def is_exported(path: Path, entries: Mapping[str, CardEntry], source: CardEntry) -> bool:
    """Whether `path` is the file of its card entry, made from the weights that `source` describes."""
    entry = entries.get(path.name)
    if entry is None or entry.exported_from != source.sha256:
        return False
    try:
        check_file(path, entry)
    except CardError:
        return False
    return True


def export_image_encoder(sam: Sam, path: Path) -> None:
    """Write the image encoder of a Segment Anything model as ONNX: `images[1,3,S,S]`, normalised, to `embedding`.

    Any `segment_anything.modeling.Sam` will do. What an encoder leaves out for padding is fixed as for a frame that
    fills the square. Raises TrainingError when the package `onnx` is missing.
    """
    import torch

    side = sam.image_encoder.img_size
    # No zeros: the starter's encoder takes zeros at the edge for padding.
    full = torch.ones(1, 3, side, side)
    atomic_write_bytes(path, as_onnx(sam.image_encoder, full, "embedding", {}))


def _detector_as_onnx(weights: Path) -> bytes:
    import_ultralytics()
    import torch
    from ultralytics.nn.tasks import load_checkpoint

    loaded = load_checkpoint(str(weights), fuse=True)
    model: Any = loaded[0]
    head = model.model[-1]
    # As Ultralytics' own exporter sets its head: one tensor, anchors from the size of what comes in.
    head.export, head.dynamic, head.format = True, True, "onnx"
    names = {number: str(name) for number, name in sorted(dict(model.names).items())}
    side = int((loaded[1].get("train_args") or {}).get("imgsz") or 640)
    moving = {"images": {2: "height", 3: "width"}, "output0": {2: "anchors"}}
    content = as_onnx(model, torch.zeros(1, 3, 224, 384), "output0", moving)
    return _with_metadata(
        content,
        {
            "names": str(names),
            "imgsz": str([side, side]),
            "stride": str(int(model.stride.max())),
            "task": "detect",
            "license": "AGPL-3.0",
            "exported_from": file_digest(weights),
        },
    )


def as_onnx(model: nn.Module, example: Any, answer: str, moving: Mapping[str, Mapping[int, str]]) -> bytes:
    """A network as ONNX: `images`, shaped as the example, to `answer`; `moving` names the axes that may differ."""
    import torch

    try:
        with (
            tempfile.TemporaryDirectory(prefix="lora_assets-export-") as folder,
            torch.inference_mode(),
            warnings.catch_warnings(),
        ):
            # torch's newer exporter needs two packages more and makes the same graph; the tracer tells of every branch.
            warnings.simplefilter("ignore")
            path = Path(folder) / "model.onnx"
            torch.onnx.export(
                model,
                (example,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=[answer],
                dynamic_axes={name: dict(axes) for name, axes in moving.items()},
            )
            return path.read_bytes()
    except torch.onnx.OnnxExporterError as error:
        raise TrainingError(f"the export failed ({error}): pip install onnx, which the exporter needs") from error


def in_half_precision(content: bytes) -> bytes:
    """An ONNX file whose larger arrays are kept in half precision and made whole again as it is opened: half as large,
    and computed as before. Raises TrainingError for numbers beyond half precision: the training went wrong."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(content)
    kept, widened = [], []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) > 16:
            half, whole = f"{tensor.name}_half", numpy_helper.to_array(tensor)
            if not np.abs(whole).max() <= np.finfo(np.float16).max:
                raise TrainingError(f"{tensor.name} holds numbers beyond half precision: train anew at a lower rate")
            kept.append(numpy_helper.from_array(whole.astype(np.float16), half))
            widened.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
        else:
            kept.append(tensor)
    nodes = [*widened, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _exporter() -> str:
    import torch

    return f"torch {torch.__version__}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: export the starter YOLO of a folder and write its card entry."""
    parser = argparse.ArgumentParser(prog="python -m lora_assets.training.export", description=__doc__)
    parser.add_argument("--folder", type=Path, default=STARTER_FOLDER, help="where the weights and CARD.json lie")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    entry = export_starter(chosen.folder)
    _log.info("%s: %d bytes, SHA-256 %s, from %s", entry.file, entry.bytes, entry.sha256, entry.exported_from)
    for name, value in entry.figures.items():
        _log.info("%-45s %.6f", name, value)


if __name__ == "__main__":
    main()
