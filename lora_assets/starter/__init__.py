"""The starter models that come inside the package: small, trained from scratch on our own drawn scenes.

`CARD.json` says how each file was made and what it measured; `lora_assets.starter.card` reads and checks it. Code that
trains them is in `lora_assets.training`, and code that runs them in `lora_assets.vision`; neither belongs here.
"""

from __future__ import annotations

from pathlib import Path

STARTER_FOLDER = Path(__file__).resolve().parent
STARTER_YOLO = STARTER_FOLDER / "starter_yolo.pt"
STARTER_YOLO_ONNX = STARTER_FOLDER / "starter_yolo.onnx"
"""The same network as `STARTER_YOLO` for ONNX Runtime: faster on a CPU, and thus what `starter-yolo` names."""
STARTER_SAM = STARTER_FOLDER / "starter_sam.pt"
STARTER_PAGES = STARTER_FOLDER / "starter_pages.pt"
"""What `starter-pages` names: the detector of whole comic pages (trained by `lora_assets.finetuning.page_detector`)."""
STARTER_CRITIC = STARTER_FOLDER / "starter_critic.onnx"
"""What is wrong with a given mask (trained by `lora_assets.training.mask_critic`); the checks of crops ask it."""
STARTER_LETTERS = STARTER_FOLDER / "starter_letters.onnx"
"""Where lettering lies over a picture (trained by `lora_assets.training.letter_finder`); the checks of crops ask it."""
STARTER_CARD = STARTER_FOLDER / "CARD.json"

STARTER_LOOKS = ("384", "448 mirrored", "576")
"""How the starter detector looks at a frame (see `vision.several_looks`): at three sizes it calls half as many things
characters by mistake as at one, for three times the time."""
