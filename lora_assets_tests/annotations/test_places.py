from __future__ import annotations

import pytest

from lora_assets.annotations import AnnotationError
from lora_assets.annotations.places import annotations_folder


def test_a_set_is_a_name_or_a_whole_path(tmp_path):
    assert annotations_folder(tmp_path, "pages") == tmp_path / "annotations" / "pages"
    assert annotations_folder(tmp_path, str(tmp_path / "漫画")) == tmp_path / "漫画"
    with pytest.raises(AnnotationError, match="letters, digits"):
        annotations_folder(tmp_path, "a/b")
    with pytest.raises(AnnotationError, match="'~nobody-there/pages': there is no such home folder"):
        annotations_folder(tmp_path, "~nobody-there/pages")
