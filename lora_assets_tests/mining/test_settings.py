from __future__ import annotations

import pytest

from lora_assets.mining.settings import MiningSettings
from lora_assets.specs import SpecError, TrackerSpec, section_settings


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("sampling_rate", 0, "above 0"),
        ("sampling_rate", 1.5, "from 0 to 1"),
        ("sampling_rate", float("nan"), "from 0 to 1"),
        ("contamination", 0.6, "from 0.0001 to 0.5"),
        ("batch", True, "whole number"),
        ("boxes_per_frame", 0, "whole number"),
        ("skip_caption", "yes", "true or false"),
        ("classes", [""], "list of words"),
        ("caption_service", "ftp://x", "must be an address"),
        ("caption_service", "http://u:p@x/v1", "LORA_ASSETS_CAPTION_KEY"),
        ("caption_service", "http://x:99999/v1", "must be an address"),
        ("caption_service", "http://x/v1?key=1", "must end before"),
        ("caption_prompt", " ", "is empty"),
        ("device", "tpu", "device must be"),
    ],
)
def test_what_does_not_fit_is_named(name, value, told):
    spec = TrackerSpec("T1", settings={"mining": {name: value}})
    with pytest.raises(SpecError, match=told) as error:
        section_settings(MiningSettings, spec, "mining")
    assert "section [mining]" in str(error.value)


def test_words_may_be_a_list_or_one_word():
    spec = TrackerSpec("T1", settings={"mining": {"rare_keywords": ["bicycle"], "classes": "person"}})
    settings = section_settings(MiningSettings, spec, "mining")
    assert settings.rare_keywords == ("bicycle",)
    assert settings.classes == ("person",)
    assert MiningSettings().workers >= 1
