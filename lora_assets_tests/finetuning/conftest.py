"""A tiny annotated set, a tiny SAM 2 and a data folder that holds both; made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lora_assets.annotations import AnnotatedSet, read_annotated_set
from lora_assets.finetuning.making import make_report, tune_segmenter
from lora_assets.finetuning.settings import SegmenterSettings, TrainingSettings, write_segmenter
from lora_assets_tests.finetuning.drawn import write_sam2, write_set

QUICK = {"steps": 6, "prompts": 4, "pages": 1, "validate_every": 3, "save_every": 2, "warmup_steps": 1}


@pytest.fixture(scope="session")
def drawn_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("drawn") / "tiny")


@pytest.fixture(scope="session")
def found(drawn_set: Path) -> AnnotatedSet:
    return read_annotated_set(drawn_set)[0]


@pytest.fixture(scope="session")
def sam2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sam2(tmp_path_factory.mktemp("models") / "tiny-sam2")


@pytest.fixture
def segmenter(data: Path, drawn_set: Path, sam2_folder: Path):
    """Write a settings file `name` for the drawn set."""
    shutil.copytree(drawn_set, data / "annotations" / "tiny")

    def write(name: str = "comics", base: str | None = None, **training: object) -> Path:
        settings = TrainingSettings(**{**QUICK, **training})  # pyright: ignore[reportArgumentType]
        return write_segmenter(data, SegmenterSettings(name, "tiny", base or str(sam2_folder), settings))

    return write


@pytest.fixture(scope="session")
def _tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("tuned") / "data"
    write_set(data / "annotations" / "tiny", train=2, val=1)
    settings = TrainingSettings(
        steps=16, prompts=4, pages=1, validate_every=16, learning_rate=1e-3, corrections=0, share_of_points=0.4,
        share_of_both=0.0, warmup_steps=1,
    )  # fmt: skip
    write_segmenter(data, SegmenterSettings("comics", "tiny", "starter-sam", settings))
    tune_segmenter(data, "comics")
    make_report(data, "comics")
    return data


@pytest.fixture
def tuned_data(_tuned: Path, data: Path) -> Path:
    """A data folder with the starter SAM tuned a little, as "comics", and judged."""
    shutil.copytree(_tuned, data, dirs_exist_ok=True)
    return data
