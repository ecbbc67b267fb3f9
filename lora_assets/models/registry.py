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
QUALITY = "quality"
TAG = "tag"
IDENTITY = "identity"
INPAINT = "inpaint"
CHECK = "check"

YOLO_PT = "yolo-pt"
YOLO_ONNX = "yolo-onnx"
SAM = "sam"
MOBILE_SAM = "mobile-sam"
STARTER_SAM = "starter-sam"
SAM2 = "sam2"
SALIENCY_ONNX = "saliency-onnx"
BRISQUE_YAML = "brisque-yaml"
AESTHETIC_HEAD = "aesthetic-head"
CLASS_ONNX = "class-onnx"
SIMCC_ONNX = "simcc-onnx"
YUNET_ONNX = "yunet-onnx"
MUSIQ = "musiq"
CLIP = "clip"
WD_TAGGER = "wd-tagger"
CCIP_ONNX = "ccip-onnx"
ARCFACE_ONNX = "arcface-onnx"
LAMA_ONNX = "lama-onnx"
LETTERS_ONNX = "letters-onnx"
CRITIC_ONNX = "critic-onnx"

TASK_OF_FAMILY = {
    YOLO_PT: DETECT,
    YOLO_ONNX: DETECT,
    SAM: SEGMENT,
    MOBILE_SAM: SEGMENT,
    STARTER_SAM: SEGMENT,
    SAM2: SEGMENT,
    SALIENCY_ONNX: SEGMENT,
    BRISQUE_YAML: QUALITY,
    AESTHETIC_HEAD: QUALITY,
    CLASS_ONNX: QUALITY,
    SIMCC_ONNX: QUALITY,
    YUNET_ONNX: QUALITY,
    MUSIQ: QUALITY,
    CLIP: QUALITY,
    WD_TAGGER: TAG,
    CCIP_ONNX: IDENTITY,
    ARCFACE_ONNX: IDENTITY,
    LAMA_ONNX: INPAINT,
    LETTERS_ONNX: CHECK,
    CRITIC_ONNX: CHECK,
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
_BRISQUE = "https://raw.githubusercontent.com/opencv/opencv_contrib/4.x/modules/quality/samples"
_SMILING_WOLF = "https://huggingface.co/SmilingWolf"
_LAION = "https://github.com/LAION-AI/aesthetic-predictor/raw/main"

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
        "starter-pages", "starter_pages.pt", DETECT, YOLO_PT, (), 0, "", "AGPL-3.0", True,
        "panels, bubbles, characters and text of comic pages, for segment-pages; trained on drawn pages", packaged=True,
    ),
    Weights(
        "starter-critic", "starter_critic.onnx", CHECK, CRITIC_ONNX, (), 0, "", "AGPL-3.0", True,
        "tells the checks of crops what is wrong with a mask; trained on drawn scenes", packaged=True,
    ),
    Weights(
        "starter-letters", "starter_letters.onnx", CHECK, LETTERS_ONNX, (), 0, "", "AGPL-3.0", True,
        "tells the checks where lettering lies over a crop; trained on drawn scenes", packaged=True,
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
        "sam2.1-hiera-tiny", "sam2.1-hiera-tiny/model.safetensors", SEGMENT, SAM2,
        (
            "https://huggingface.co/facebook/sam2.1-hiera-tiny/resolve/"
            "de431c4043854a71d8101e17995dfe596bf101a5/model.safetensors",
        ),
        155908064, "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7", "Apache-2.0", True,
        "SAM 2.1, tiny; needs transformers; copy config.json of the same repository beside it",
    ),
    Weights(
        "u2net", "u2net.onnx", SEGMENT, SALIENCY_ONNX, (f"{_REMBG}/u2net.onnx",),
        175997641, "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491", "Apache-2.0", True,
        "a segmenter of whole frames and a second opinion on masks, trained on photographs",
    ),
    Weights(
        "u2netp", "u2netp.onnx", SEGMENT, SALIENCY_ONNX, (f"{_REMBG}/u2netp.onnx",),
        4574861, "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8", "Apache-2.0", True,
        "a segmenter of whole frames and a second opinion on masks: the small U2Net",
    ),
    Weights(
        "isnet-anime", "isnet-anime.onnx", SEGMENT, SALIENCY_ONNX,
        (
            f"{_REMBG}/isnet-anime.onnx",
            "https://huggingface.co/skytnt/anime-seg/resolve/493cb60893f47441b26ec4fb9a306bce9e342982/isnetis.onnx",
        ),
        176069933, "f15622d853e8260172812b657053460e20806f04b9e05147d49af7bed31a6e99", "Apache-2.0", True,
        "a segmenter of whole frames and a second opinion on masks, trained on drawn characters",
    ),
    Weights(
        "brisque-model", "brisque_model_live.yml", QUALITY, BRISQUE_YAML, (f"{_BRISQUE}/brisque_model_live.yml",),
        567815, "4c44c7eec9e5139830c0bb0e4a044c9cd351ba5bbc9e3798beca3243e2782ff4", "Apache-2.0", True,
        "BRISQUE's scorer, trained on photographs; needs brisque-range too",
    ),
    Weights(
        "brisque-range", "brisque_range_live.yml", QUALITY, BRISQUE_YAML, (f"{_BRISQUE}/brisque_range_live.yml",),
        1356, "a18427f4f7ad087524bd0d63389649a3899b51ca6d44a4d5f8d8171f1f914a9c", "Apache-2.0", True,
        "range of BRISQUE's features",
    ),
    Weights(
        "laion-mlp-l14", "sac+logos+ava1-l14-linearMSE.pth", QUALITY, AESTHETIC_HEAD,
        (
            "https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/"
            "6934dd81792f086e613a121dbce43082cb8be85e/sac+logos+ava1-l14-linearMSE.pth",
        ),
        3714759, "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0", "Apache-2.0", True,
        "LAION aesthetics, improved head; needs CLIP ViT-L/14",
    ),
    Weights(
        "laion-linear-l14", "sa_0_4_vit_l_14_linear.pth", QUALITY, AESTHETIC_HEAD,
        (f"{_LAION}/sa_0_4_vit_l_14_linear.pth",),
        4071, "2cd4e60f4f24ae3bcd57b847b13c1f3ba27edc28cc1a7f9ce74ee9f421243cba", "MIT", True,
        "LAION aesthetics, linear head; needs CLIP ViT-L/14",
    ),
    Weights(
        "laion-linear-b32", "sa_0_4_vit_b_32_linear.pth", QUALITY, AESTHETIC_HEAD,
        (f"{_LAION}/sa_0_4_vit_b_32_linear.pth",),
        3047, "c7b14cead230694acc7b9447974d3cad78003c72da032e402a303b6c2429e85f", "MIT", True,
        "LAION aesthetics, linear head; needs CLIP ViT-B/32",
    ),
    Weights(
        "clip-vit-base-patch32", "clip-vit-base-patch32/pytorch_model.bin", QUALITY, CLIP,
        (
            "https://huggingface.co/openai/clip-vit-base-patch32/resolve/"
            "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268/pytorch_model.bin",
        ),
        605247071, "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f", "MIT", True,
        "CLIP ViT-B/32; copy config.json, vocab.json and merges.txt of the same repository beside it",
    ),
    Weights(
        "anime-aesthetic", "anime_aesthetic_swinv2pv3_v0_448_ls0.2_x.onnx", QUALITY, CLASS_ONNX,
        (
            f"{_DEEPGHS}/anime_aesthetic/resolve/"
            "a83ab545e1d2a869f1180b99b2a7dee22ec3b97e/swinv2pv3_v0_448_ls0.2_x/model.onnx",
        ),
        418260629, "174a988ff458e84bd28c2a71cd22a5e7e160ec2518e501efbdfc3de1d09d82a2", "OpenRAIL", True,
        "seven classes from worst to masterpiece, for drawings; its hash is pinned by one public project",
    ),
    Weights(
        "musiq-koniq", "musiq_koniq_ckpt-e95806b9.pth", QUALITY, MUSIQ,
        (
            "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/"
            "0df2df423c65f6a64209309695f3845727431027/musiq_koniq_ckpt-e95806b9.pth",
        ),
        0, "e95806b9eae5f3814c410f574ba8e552362bd5bc63d758ed5b97860f5d6185aa", "see the repository", False,
        "needs the extra iqa (pyiqa, noncommercial)",
    ),
    Weights(
        "yunet", "face_detection_yunet_2023mar.onnx", QUALITY, YUNET_ONNX,
        (
            "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
            "face_detection_yunet_2023mar.onnx",
        ),
        232589, "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4", "MIT", True,
        "faces of photographs, with five points",
    ),
    Weights(
        "rtmpose-m", "rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.zip", QUALITY, SIMCC_ONNX,
        (
            "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk/"
            "rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.zip",
        ),
        0, "f7fbb6c5c11a1bb70f3d445e4ddec5d144ea89ad5649c081ef976f9b24a0b741", "Apache-2.0", True,
        "17 key points of people; read inside its zip, whose hash is pinned by one public project",
    ),
    Weights(
        "ccip", "ccip_caformer_24_randaug_pruned.onnx", IDENTITY, CCIP_ONNX,
        (
            f"{_DEEPGHS}/ccip_onnx/resolve/eb2acdd29af1703388d3d0c04221add322bc9110/"
            "ccip-caformer-24-randaug-pruned/model_feat.onnx",
        ),
        150248245, "4ea118d16496274f4f6e08d3afc768cc592389e8f7f32f8732ce2215c228ac5f", "OpenRAIL", True,
        "who a drawn character is; OpenRAIL forbids some uses",
    ),
    Weights(
        "arcface", "w600k_r50.onnx", IDENTITY, ARCFACE_ONNX,
        (
            "https://huggingface.co/public-data/insightface/resolve/"
            "33c1063c49c785b7652d3fd529f86fa4f149392b/models/buffalo_l/w600k_r50.onnx",
        ),
        174383860, "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43", "research only", False,
        "who a photographed face is (insightface buffalo_l); not for drawings",
    ),
    Weights(
        "lama", "lama_fp32.onnx", INPAINT, LAMA_ONNX,
        ("https://huggingface.co/Carve/LaMa-ONNX/resolve/main/lama_fp32.onnx",),
        0, "", "Apache-2.0", True,
        "paints backgrounds where characters were (layers); its hash is recorded at the first download",
    ),
    Weights(
        "wd-swinv2-v3", "wd-swinv2-tagger-v3.onnx", TAG, WD_TAGGER,
        (
            f"{_SMILING_WOLF}/wd-swinv2-tagger-v3/resolve/"
            "627aef95638667ddcaa3ac8ae625e88ea5b02f51/model.onnx",
        ),
        467460978, "e6774bff34d43bd49f75a47db4ef217dce701c9847b546523eb85ff6dbba1db1", "Apache-2.0", True,
        "tags of drawn pictures, for captions; needs wd-swinv2-v3-tags too",
    ),
    Weights(
        "wd-swinv2-v3-tags", "wd-swinv2-tagger-v3.csv", TAG, WD_TAGGER,
        (
            f"{_SMILING_WOLF}/wd-swinv2-tagger-v3/resolve/"
            "627aef95638667ddcaa3ac8ae625e88ea5b02f51/selected_tags.csv",
        ),
        308468, "298633d94d0031d2081c0893f29c82eab7f0df00b08483ba8f29d1e979441217", "Apache-2.0", True,
        "the names of the tags of wd-swinv2-v3",
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
