"""Drawn (anime-style) frames with truth: random scenes, random films of shots, the sample film, comic pages.

What is exported here loads no drawing library until a function is called; recognition of real pictures is not here.
"""

from __future__ import annotations

from lora_assets.scenes.comic import ComicInstance, ComicPage, draw_comic_page
from lora_assets.scenes.film import sample_film_truth, write_sample_film
from lora_assets.scenes.scene import draw_scene
from lora_assets.scenes.shots import Camera, FilmFrame, draw_shots
from lora_assets.scenes.truth import CharacterTruth, Effect, SceneFrame, ThingTruth

__all__ = [
    "Camera",
    "CharacterTruth",
    "ComicInstance",
    "ComicPage",
    "Effect",
    "FilmFrame",
    "SceneFrame",
    "ThingTruth",
    "draw_comic_page",
    "draw_scene",
    "draw_shots",
    "sample_film_truth",
    "write_sample_film",
]
