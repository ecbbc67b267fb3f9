from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.exports.caption_log import log_path, read_written, write_captions, written_for
from lora_assets.exports.caption_text import CaptionError
from lora_assets.store import StoreError
from lora_assets.verdicts import CropPlace

FRAME = "a" * 64


def place(crop: str = "c1", x: float = 0.0, frame: str = FRAME) -> CropPlace:
    return CropPlace("film", frame, "d", crop, (x, 0.0, x + 100.0, 100.0))


def test_the_last_word_stands_and_can_be_taken_back(data):
    assert read_written(data) == []
    write_captions(data, [(place(), "first"), (place("c2", 500.0), "other")])
    write_captions(data, [(place(), "second")])
    found = written_for(read_written(data), [place(), place("c2", 500.0), place("c3", 900.0)])
    assert found == {"c1": "second", "c2": "other"}
    write_captions(data, [(place(), "  ")])
    assert written_for(read_written(data), [place()]) == {}
    assert len(read_written(data)) == 4


def test_a_caption_finds_its_crop_after_it_was_cut_anew(data):
    write_captions(data, [(place(), "mio waves")])
    written = read_written(data)
    assert written_for(written, [place("new", 5.0)]) == {"new": "mio waves"}
    assert written_for(written, [place("new", 50.0)]) == {}
    assert written_for(written, [place("new", 0.0, "b" * 64)]) == {}


@given(x=st.floats(-200, 200))
def test_overlap_decides(x, tmp_path_factory):
    data = tmp_path_factory.mktemp("log")
    write_captions(data, [(place(), "mio")])
    overlap = max(0.0, 100 - abs(x)) / (100 + abs(x))
    assert bool(written_for(read_written(data), [place("new", x)])) == (overlap >= 0.8)


@pytest.mark.parametrize("text", ["a\nb", "a\u2028b", "a\x00b"])
def test_a_line_break_is_refused_and_nothing_is_written(data, text):
    with pytest.raises(CaptionError, match="crop c1 cannot be used"):
        write_captions(data, [(place("c0"), "fine"), (place(), text)])
    assert read_written(data) == []


def test_a_line_that_a_kill_cut_short_is_left_out_and_cut_off(data):
    write_captions(data, [(place(), "mio waves")])
    with log_path(data).open("ab") as handle:
        handle.write(b'{"crop_id": "c2", "te')
    assert len(read_written(data)) == 1
    write_captions(data, [(place("c2"), "mio sits")])
    assert [caption.text for caption in read_written(data)] == ["mio waves", "mio sits"]


def test_a_damaged_line_is_named(data):
    write_captions(data, [(place(), "mio waves")])
    with log_path(data).open("ab") as handle:
        handle.write(b"nonsense\n")
    with pytest.raises(StoreError, match="line 2 cannot be understood"):
        read_written(data)
