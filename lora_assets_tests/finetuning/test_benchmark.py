from __future__ import annotations

import pytest

from lora_assets.benchmarks.finetuning import SMALL_SAM2, measure_finetuning


@pytest.mark.slow
def test_the_figures_of_tuning_are_told(tmp_path):
    told = "\n".join(measure_finetuning(pages=10, steps=0, sam2_steps=2, sheets=tmp_path / "sheets"))
    assert "drawn pages: 8 of train, 2 of val" in told
    assert f"{SMALL_SAM2}: 2 steps" in told
    assert "told before" in told
    for words in ("IoU, box, all", "boundary F, box, panel", "error of the predicted IoU, point, text"):
        assert words in told
    assert (tmp_path / "sheets" / f"finetuning-{SMALL_SAM2}.png").exists()
