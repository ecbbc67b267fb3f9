"""The log of masks made by hand: kept, sent again, withdrawn, never changed; and the boxes they apply to."""

from __future__ import annotations

import threading
from dataclasses import replace

import apsw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.verdicts import VerdictError
from lora_assets.verdicts.corrections import (
    Correction,
    CorrectionError,
    CorrectionLog,
    Kept,
    corrections_path,
    match_corrections,
    read_corrections,
    standing,
)
from lora_assets.vision.masks import encode_mask
from lora_assets_tests.verdicts.marks import FRAME, a_correction


@pytest.fixture
def log(data):
    with CorrectionLog(corrections_path(data)) as log:
        yield log


def test_a_correction_is_read_back_as_it_was_and_counts_once(data, log):
    one = a_correction()
    assert log.append(one) == log.append(one)
    kept, last = read_corrections(data)
    assert [each.correction for each in kept] == [one] and last == 1
    assert kept[0].correction.pixels.shape == (28, 30) and kept[0].correction.pixels.all()
    with pytest.raises(CorrectionError, match="taken for another"):
        log.append(replace(one, category="text"))


def test_withdrawn_is_withdrawn_and_the_state_before_can_be_read(data, log):
    log.append(a_correction())
    log.append(a_correction("second", box=(60.0, 10.0, 90.0, 60.0)))
    taken = log.withdraw("first")
    assert taken.withdrawn_at and log.withdraw("first").withdrawn_at == taken.withdrawn_at
    assert [one.id for one in standing(log.all())] == ["second"]
    assert [one.id for one in standing(read_corrections(data, as_of=2)[0])] == ["first", "second"]
    with pytest.raises(CorrectionError, match="there is no correction"):
        log.withdraw("nobody")


def test_rows_cannot_be_changed_or_deleted(data, log):
    log.append(a_correction())
    with apsw.Connection(str(corrections_path(data))) as other:
        for change in ("UPDATE correction SET model = 'x'", "DELETE FROM correction"):
            with pytest.raises(apsw.ConstraintError, match="never"):
                other.execute(change)


def test_several_writers_lose_nothing(data, log):
    def write(name: str) -> None:
        with CorrectionLog(corrections_path(data)) as mine:
            for number in range(10):
                mine.append(a_correction(f"{name}-{number}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = log.all()
    assert len(kept) == 30 and [one.at for one in kept] == sorted({one.at for one in kept})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"frame_sha256": "x"}, "SHA-256"), ({"box": (0.0, 0.0, 500.0, 9.0)}, "does not lie in the frame"),
        ({"box": (9.0, 0.0, 9.0, 9.0)}, "does not lie"), ({"box": (float("nan"), 0.0, 1.0, 1.0)}, "finite"),
        ({"window": (90, 0, 30, 28)}, "does not lie"),
        ({"id": "a b"}, "does not fit"), ({"category": "x" * 201}, "category"), ({"tracker": "../x"}, "tracker"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(change, reason):
    with pytest.raises(CorrectionError, match=reason):
        replace(a_correction(), **change)


def test_a_mask_that_does_not_fit_is_not_taken(log):
    for rle in (b"", encode_mask(np.ones((3, 3), bool)), encode_mask(np.zeros((28, 30), bool))):
        with pytest.raises(CorrectionError, match=r"does not fit its window|is empty"):
            log.append(replace(a_correction(), rle=rle))
    assert log.all() == []


def test_one_sent_again_after_its_withdrawal_is_told_as_withdrawn(log):
    log.append(a_correction())
    taken = log.withdraw("first")
    assert log.append(a_correction()).withdrawn_at == taken.withdrawn_at


def test_what_is_added_between_the_two_reads_is_in_neither(data, log, monkeypatch):
    log.append(a_correction())
    real = CorrectionLog.last_until

    def last_until(self, *told):
        found = real(self, *told)
        monkeypatch.undo()
        log.append(a_correction("meanwhile"))
        return found

    monkeypatch.setattr(CorrectionLog, "last_until", last_until)
    for as_of, names in (
        (None, ["first"]),
        (None, ["first", "meanwhile"]),
        (1, ["first"]),
        (9, ["first", "meanwhile"]),
    ):
        kept, seq = read_corrections(data, as_of)
        assert [one.id for one in kept] == names and seq == len(names)


def test_the_log_is_read_once_for_all_cells_and_again_when_it_grew_or_is_another(data, log, monkeypatch):
    decoded, read = [], []
    monkeypatch.setattr("lora_assets.verdicts.corrections.decode_mask", lambda *a: decoded.append(a))
    real = CorrectionLog.all
    monkeypatch.setattr(CorrectionLog, "all", lambda self, as_of=None: read.append(as_of) or real(self, as_of))
    monkeypatch.setattr(Correction, "check_mask", lambda self: None)
    log.append(a_correction())
    for _ in range(5):
        assert len(read_corrections(data)[0]) == 1
    log.withdraw("first")
    assert read_corrections(data)[0][0].withdrawn_at
    assert read == [1, 2] and decoded == []
    log.close()
    for path in corrections_path(data).parent.iterdir():
        path.unlink()
    with CorrectionLog(corrections_path(data)) as other:
        other.append(a_correction("other"))
        other.withdraw("other")
    assert [one.id for one in read_corrections(data)[0]] == ["other"]


def test_a_damaged_log_is_told(data):
    path = corrections_path(data)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database at all, whatever its name says" * 40)
    with pytest.raises(VerdictError, match="lora-assets corrections restore"):
        read_corrections(data)


def _kept(number: int, box, frame: str = FRAME) -> Kept:
    return Kept(a_correction(f"c{number}", box, frame), number, f"2026-01-01T00:00:{number:02d}+00:00")


def test_a_box_takes_the_latest_correction_that_overlaps_it_enough():
    boxes = {FRAME: [("near", (10.0, 10.0, 50.0, 48.0)), ("far", (60.0, 10.0, 90.0, 50.0))]}
    kept = [_kept(1, (10.0, 10.0, 50.0, 50.0)), _kept(2, (11.0, 10.0, 50.0, 50.0)), _kept(3, (60.0, 10.0, 80.0, 30.0)),
            _kept(4, (0.0, 0.0, 5.0, 5.0), "cd" * 32)]  # fmt: skip
    applied = match_corrections(kept, boxes)
    assert {box: one.id for (_, box), one in applied.by_box.items()} == {"near": "c2"}
    reasons = {one.id: reason for one, reason in applied.unmatched}
    assert "a later correction stands" in reasons["c1"]
    assert "overlaps it by 0.8" in reasons["c3"] and "no box in this frame" in reasons["c4"]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=6))
def test_every_correction_applies_to_one_box_or_is_told(places):
    kept = [_kept(n + 1, (float(x), float(y), float(x + 40), float(y + 40))) for n, (x, y) in enumerate(places)]
    boxes = {FRAME: [("a", (0.0, 0.0, 40.0, 40.0)), ("b", (20.0, 10.0, 60.0, 50.0))]}
    applied = match_corrections(kept, boxes)
    told = [one.seq for one in applied.by_box.values()] + [one.seq for one, _ in applied.unmatched]
    assert sorted(told) == [one.seq for one in kept]
