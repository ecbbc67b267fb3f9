"""Drawn (anime-style) frames with truth: single random scenes and the sample film.

What is exported here loads no drawing library until a function is called; recognition of real pictures is not here.
"""

from __future__ import annotations

from lora_assets.scenes.film import sample_film_truth, write_sample_film
from lora_assets.scenes.scene import draw_scene
from lora_assets.scenes.truth import CharacterTruth, SceneFrame

__all__ = ["CharacterTruth", "SceneFrame", "draw_scene", "sample_film_truth", "write_sample_film"]
