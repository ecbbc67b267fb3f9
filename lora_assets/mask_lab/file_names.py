"""What the files of a sweep and of layers are called; read by pages, which must not load what makes them."""

from __future__ import annotations

REPORT = "optimization_report.json"
PICTURES = {
    "close": "close.jpg",
    "overlay": "overlay.jpg",
    "character": "character.png",
    "mask": "mask.png",
    "edges": "edges.png",
}
"""The pictures of a mask under one preset, by kind, in the order in which they are offered."""
CHARACTER, BACKGROUND = "character.png", "background.png"
LAYERS_INDEX = "index.csv"
"""Names the layers of a tracker by frame, beside the folders of its datasets."""
SWEEP_TABLE, RESULTS_TABLE, LAYERS_TABLE = "refinement_sweep", "refinement_presets", "layers"


def image_folder(number: int) -> str:
    """The folder of a sampled mask."""
    return f"image_{number}"


def plot_name(language: str) -> str:
    """The plot in a language."""
    return f"sweep.{language}.png"
