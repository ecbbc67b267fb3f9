"""The quick part of every kit about files and processes: nothing fails, and the planted fault is noticed."""

from __future__ import annotations

import pytest

from lora_assets_tests.reliability.files_bombs import decoders_in_use
from lora_assets_tests.reliability.goals import KITS, Kit, Trials

OURS = [kit for kit in KITS if kit.module.startswith(("files_", "processes_"))]

# Modules that call a decoder by themselves. None of them is given a file of a person's folder: those go through
# vision.images, whose limits the kit of G4 measures.
_READ_OWN_PICTURES = {
    "exports/pixels.py", "exports/preview.py", "exports/reading/sizes.py", "exports/writing/kohya.py",
    "identity/descriptions.py", "main_line/preview.py", "mask_lab/drawing.py", "mask_lab/layers.py",
    "mask_lab/making.py", "mining/drawing.py", "mining/folders.py", "quality/pictures.py", "quality/sheet.py",
    "scenes/transmission.py", "tracker/picture_check.py", "tracker/routes_mask_lab.py",
    "training/critic_samples.py", "training/letter_finder.py", "training/rendered.py",
    "benchmarks/pipeline.py", "benchmarks/quality.py",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kit", OURS, ids=lambda kit: f"{kit.goal}-{kit.module}")
def test_a_kit_finds_nothing_but_what_was_planted(kit: Kit):
    figures = kit.run("quick")
    assert figures.goal == kit.goal and figures.how and figures.seeded_fault
    assert figures.failures == () and figures.failed == 0 and figures.tried > 0
    assert figures.seeded_fault_caught, f"the kit does not notice: {figures.seeded_fault}"


def test_no_other_module_decodes_pictures():
    assert decoders_in_use() <= _READ_OWN_PICTURES, "pictures of a person are read by vision.images only"


def test_figures_count_what_failed_in_words():
    trials = Trials("G0", "by hand", "none")
    trials.check(True, "a")
    trials.check(False, "b went wrong")
    figures = trials.figures()
    assert (figures.tried, figures.failed, figures.failures) == (2, 1, ("b went wrong",))
    assert not figures.passed
