"""The table of known weights: task, family, where each file comes from, its size, hash and licence.

Hashes are those pinned by several independent public projects; a file is compared with its hash before any parser sees
it. Weights without a known hash have an empty `sha256` and are fetched only when a person accepts that. What belongs
elsewhere: files that a person adds (records), where files lie (folder).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from lora_assets.starter import STARTER_CARD
from lora_assets.starter.card import CardError, read_card

DETECT = "detect"
SEGMENT = "segment"

YOLO_PT = "yolo-pt"
YOLO_ONNX = "yolo-onnx"
SAM = "sam"
MOBILE_SAM = "mobile-sam"
STARTER_SAM = "starter-sam"
SALIENCY_ONNX = "saliency-onnx"

TASK_OF_FAMILY = {
    YOLO_PT: DETECT,
    YOLO_ONNX: DETECT,
    SAM: SEGMENT,
    MOBILE_SAM: SEGMENT,
    STARTER_SAM: SEGMENT,
    SALIENCY_ONNX: SEGMENT,
}


class ModelError(RuntimeError):
    """Weights that are unknown, absent, altered or unreadable; the text names the file, the reason and the way out."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Known weights. `bytes` 0 and `sha256` "" mean not known; `packaged` weights lie in `lora_assets/starter/`.

    `file` is the name under `data/models/`, `urls` are tried in order. `commercial` tells whether the licence allows
    commercial use (AGPL does, with its duties); `note` is for a person who chooses.
    """

    name: str
    file: str
    task: str
    family: str
    urls: tuple[str, ...]
    bytes: int
    sha256: str
    licence: str
    commercial: bool
    note: str
    packaged: bool = False


_ULTRALYTICS = "https://github.com/ultralytics/assets/releases/download"
_DEEPGHS = "https://huggingface.co/deepghs"
_SAM = "https://dl.fbaipublicfiles.com/segment_anything"
_REMBG = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"

WEIGHTS: tuple[Weights, ...] = (
    Weights(
        "starter-yolo", "starter_yolo.onnx", DETECT, YOLO_ONNX, (), 0, "", "AGPL-3.0", True,
        "comes inside the package; trained on drawn scenes; for a CPU", packaged=True,
    ),
    Weights(
        "starter-yolo-pt", "starter_yolo.pt", DETECT, YOLO_PT, (), 0, "", "AGPL-3.0", True,
        "the same network for a GPU, and to train on from", packaged=True,
    ),
    Weights(
        "starter-sam", "starter_sam.pt", SEGMENT, STARTER_SAM, (), 0, "", "AGPL-3.0", True,
        "comes inside the package; trained on drawn scenes", packaged=True,
    ),
    Weights(
        "yolov8n", "yolov8n.pt", DETECT, YOLO_PT,
        (f"{_ULTRALYTICS}/v8.3.0/yolov8n.pt", f"{_ULTRALYTICS}/v8.4.0/yolov8n.pt"),
        6549796, "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36", "AGPL-3.0", True,
        "80 COCO classes; finds about 60 % of drawn characters",
    ),
    Weights(
        "yolo11n", "yolo11n.pt", DETECT, YOLO_PT,
        (f"{_ULTRALYTICS}/v8.3.0/yolo11n.pt", f"{_ULTRALYTICS}/v8.4.0/yolo11n.pt"),
        0, "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1", "AGPL-3.0", True,
        "80 COCO classes",
    ),
    Weights(
        "yolov8x6_animeface", "yolov8x6_animeface.pt", DETECT, YOLO_PT,
        ("https://huggingface.co/Fuyucchi/yolov8_animeface/resolve/main/yolov8x6_animeface.pt",),
        0, "", "AGPL-3.0", True,
        "faces of drawn characters; trained at 1280 px; its hash is recorded at the first download",
    ),
    Weights(
        "anime-face", "face_detect_v1.4_s.onnx", DETECT, YOLO_ONNX,
        (
            f"{_DEEPGHS}/anime_face_detection/resolve/"
            "784dc4c0bb692351ddcdbe6131a050b17d3025d5/face_detect_v1.4_s/model.onnx",
        ),
        44583229, "403b5bc93b6ff789b7d183418df4a1364049bac00c24acd927604a7ff6891483", "MIT", True,
        "faces of drawn characters",
    ),
    Weights(
        "anime-head", "head_detect_v2.0_s.onnx", DETECT, YOLO_ONNX,
        (
            f"{_DEEPGHS}/anime_head_detection/resolve/"
            "06604feee81983792a57c21081e539c0ae229833/head_detect_v2.0_s/model.onnx",
        ),
        44585386, "6679f9b71192298bbf174d82e9e5581c3237b0c3dc67deace7cdbf686b070a00", "MIT", True,
        "heads of drawn characters, hair included",
    ),
    Weights(
        "anime-person", "person_detect_v1.3_s.onnx", DETECT, YOLO_ONNX,
        (f"{_DEEPGHS}/anime_person_detection/resolve/main/person_detect_v1.3_s/model.onnx",),
        0, "6da88929438cd442e31e45ff4f934dd2d7eb9cf7a423c22885d650ee52550f90", "MIT", True,
        "whole drawn characters",
    ),
    Weights(
        "mobile_sam", "mobile_sam.pt", SEGMENT, MOBILE_SAM,
        (
            "https://github.com/ChaoningZhang/MobileSAM/raw/"
            "f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/mobile_sam.pt",
        ),
        40728226, "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f", "Apache-2.0", True,
        "about ten times faster than ViT-B on a CPU",
    ),
    Weights(
        "sam_vit_b", "sam_vit_b_01ec64.pth", SEGMENT, SAM, (f"{_SAM}/sam_vit_b_01ec64.pth",),
        375042383, "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912", "Apache-2.0", True,
        "Segment Anything, base",
    ),
    Weights(
        "sam_vit_l", "sam_vit_l_0b3195.pth", SEGMENT, SAM, (f"{_SAM}/sam_vit_l_0b3195.pth",),
        0, "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622", "Apache-2.0", True,
        "Segment Anything, large",
    ),
    Weights(
        "sam_vit_h", "sam_vit_h_4b8939.pth", SEGMENT, SAM, (f"{_SAM}/sam_vit_h_4b8939.pth",),
        2564550879, "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e", "Apache-2.0", True,
        "Segment Anything, huge: best masks, needs a GPU",
    ),
    Weights(
        "u2net", "u2net.onnx", SEGMENT, SALIENCY_ONNX, (f"{_REMBG}/u2net.onnx",),
        175997641, "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491", "Apache-2.0", True,
        "a second opinion on masks, trained on photographs",
    ),
    Weights(
        "u2netp", "u2netp.onnx", SEGMENT, SALIENCY_ONNX, (f"{_REMBG}/u2netp.onnx",),
        4574861, "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8", "Apache-2.0", True,
        "a second opinion on masks: the small U2Net",
    ),
    Weights(
        "isnet-anime", "isnet-anime.onnx", SEGMENT, SALIENCY_ONNX,
        (
            f"{_REMBG}/isnet-anime.onnx",
            "https://huggingface.co/skytnt/anime-seg/resolve/493cb60893f47441b26ec4fb9a306bce9e342982/isnetis.onnx",
        ),
        176069933, "f15622d853e8260172812b657053460e20806f04b9e05147d49af7bed31a6e99", "Apache-2.0", True,
        "a second opinion on masks, trained on drawn characters",
    ),
)  # fmt: skip


def find(name: str) -> Weights | None:
    """The known weights called `name`, or whose file is called so; None when there are none."""
    return next((known for known in WEIGHTS if name in (known.name, known.file)), None)


def unknown_name(name: str, others: Iterable[str] = ()) -> ModelError:
    """The error for a name that nothing answers to, with the names that look like it."""
    names = [known.name for known in WEIGHTS] + list(others)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return ModelError(
        f"there are no weights called {name!r}, and no file of that path.{hint} "
        "See the names with: lora-assets models list; take in a file of your own with: lora-assets models add FILE"
    )


def pinned_sha256(weights: Weights) -> str:
    """The SHA-256 that the file must have, "" when none is known. Packaged weights are pinned by their card.

    Raises ModelError when the package's card is damaged or does not name the file.
    """
    if not weights.packaged:
        return weights.sha256
    try:
        entry = read_card(STARTER_CARD).get(weights.file)
    except CardError as error:
        raise ModelError(f"{weights.name}: {error}") from error
    if entry is None:
        raise ModelError(f"{weights.name}: the card of the package does not name {weights.file}: install it again")
    return entry.sha256
