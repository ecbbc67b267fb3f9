"""Clicks over HTTP: who may ask, what is refused, and what becomes of an accepted mask."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from lora_assets.annotations import read_annotated_set
from lora_assets.tracker.app import create_app
from lora_assets.tracker.clicking import Clicker
from lora_assets.tracker.language import read_labels
from lora_assets.verdicts.corrections import CorrectionLog, corrections_path, read_corrections
from lora_assets.verdicts.restoring import backups
from lora_assets.vision.prompt_limits import MOST_POINTS
from lora_assets_tests.tracker.conftest import Client
from lora_assets_tests.tracker.drawn_data import TRACKER
from lora_assets_tests.tracker.fake_clicks import PROGRAM
from lora_assets_tests.tracker.test_private import CHEAP


@pytest.fixture(scope="module")
def clicked(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    """A client of a data folder of its own, whose clicks cost nothing."""
    import shutil

    data = shutil.copytree(drawn, tmp_path_factory.mktemp("clicked") / "data")
    app = create_app(data, password_hash=None)
    app.state.clicker = Clicker(data, program=PROGRAM)
    yield Client(app), data
    app.state.clicker.close()


def _frame(client: Client) -> tuple[str, dict[str, Any]]:
    """The hash of a frame with a subject, and that subject."""
    from html import unescape
    from re import search

    crop = search(r'href="(/tracker/[^"]+/crop/[^"]+)"', client.get(f"/tracker/{TRACKER}").text)
    assert crop is not None
    mend = search(r'class="toggle-link" href="([^"]+)"', client.get(unescape(crop[1])).text)
    assert mend is not None
    page = client.get(unescape(mend[1]))
    assert page.status_code == 200
    assert f'data-most-points="{MOST_POINTS}"' in page.text
    subjects = search(r'data-subjects="([^"]+)"', page.text)
    assert subjects is not None
    return unescape(mend[1]).split("/segment/")[1].split("?")[0], json.loads(unescape(subjects[1]))[0]


def test_clicks_are_answered_and_an_accepted_mask_is_in_the_log(clicked):
    client, data = clicked
    frame, subject = _frame(client)
    api = f"/api/tracker/{TRACKER}/segment/{frame}"
    assert client.post(f"{api}/open", {}).json()["model"] == "discs"
    told = client.post(f"{api}/ask", {"box": subject["box"]}).json()
    best = told["candidates"][0]
    sent = {"request_id": "request-1", "window": best["window"], "runs": best["runs"], "detection": subject["id"],
            "category": "character", "model": "discs"}  # fmt: skip
    first, again = client.post(f"{api}/correction", sent), client.post(f"{api}/correction", sent)
    assert first.status_code == 200 and first.json() == again.json()
    assert first.json()["applies"]
    kept, _ = read_corrections(data)
    assert [(one.id, list(one.correction.box), int(one.correction.pixels.sum())) for one in kept] == [
        ("request-1", subject["box"], best["area"])
    ]
    listed = client.get(f"/tracker/{TRACKER}/corrections").text
    assert "request-1" in listed and "applies to a box" in listed
    assert len(backups(data, CorrectionLog)) == 1, "the first correction of a day makes a backup"
    answer = client.post(f"/api/tracker/{TRACKER}/corrections/withdraw", {"id": "request-1"})
    assert answer.json()["withdrawn_at"] and read_corrections(data)[0][0].withdrawn_at
    assert client.post(f"{api}/correction", sent).json()["withdrawn_at"] == answer.json()["withdrawn_at"]
    assert client.post(f"/api/tracker/{TRACKER}/corrections/withdraw", {"id": "nobody"}).status_code == 422


@pytest.mark.parametrize(("part", "unlike"), [("beside it", "inside"), ("a corner of it", "iou")])
def test_a_mask_that_is_unlike_its_crop_is_asked_about_once(clicked, part, unlike):
    client, data = clicked
    frame, subject = _frame(client)
    x1, y1 = (round(side) for side in subject["box"][:2])
    window = [0 if x1 > 160 else 319 - 40, 0, 40, 30] if part == "beside it" else [x1, y1 + 4, 6, 6]
    sent = {"request_id": f"request-{unlike}", "window": window, "runs": [0, window[2] * window[3]],
            "detection": subject["id"], "category": "character", "model": "discs"}  # fmt: skip
    api, before = f"/api/tracker/{TRACKER}/segment/{frame}/correction", len(read_corrections(data)[0])
    for _ in range(2):
        answer = client.post(api, sent)
        assert answer.status_code == 409
        asked = answer.json()["unlike"]
        assert (asked["inside"] < 0.5) is (unlike == "inside") and asked["iou"] < 0.2
        assert len(read_corrections(data)[0]) == before
    for wrong in (1, "yes", None):
        assert client.post(api, {**sent, "sure": wrong}).status_code == 409
    assert client.post(api, {**sent, "sure": True}).status_code == 200
    assert len(read_corrections(data)[0]) == before + 1
    with CorrectionLog(corrections_path(data)) as log:
        log.withdraw(sent["request_id"])


def test_an_empty_prompt_starts_no_process(clicked):
    client, data = clicked
    frame, _ = _frame(client)
    clicker = Clicker(data, program="no.such.program")
    kept, client.app.state.clicker = client.app.state.clicker, clicker
    try:
        for told in ({}, {"points": [], "labels": []}, {"points": [[9, 9]], "labels": [0]}):
            answer = client.post(f"/api/tracker/{TRACKER}/segment/{frame}/ask", told)
            assert answer.status_code == 422 and "draw a box" in answer.json()["error"]
        assert clicker.process_id is None
    finally:
        client.app.state.clicker = kept


def test_a_mask_that_matches_no_box_is_listed(clicked):
    client, data = clicked
    frame, _ = _frame(client)
    sent = {"request_id": "request-2", "window": [2, 2, 10, 10], "runs": [0, 100], "detection": ""}
    answer = client.post(f"/api/tracker/{TRACKER}/segment/{frame}/correction", sent)
    assert (answer.status_code, answer.json()["applies"]) == (200, False), "the page must not say that a run takes it"
    page = client.get(f"/tracker/{TRACKER}/corrections").text
    assert "1 match no box" in page and "no box of the frame overlaps it by 0.8" in page
    with CorrectionLog(corrections_path(data)) as log:
        log.withdraw("request-2")


def test_a_frame_without_a_box_says_that_no_run_takes_a_mask(clicked):
    client, _ = clicked
    empty = re.search(r'class="tile-draw" href="([^"]+)"', client.get(f"/tracker/{TRACKER}?show=nothing").text)
    assert empty is not None
    page = client.get(empty[1]).text
    assert read_labels("en")("segment.unplaced") in page
    assert read_labels("en")("segment.next_run") not in page


def test_a_correction_is_dated_by_the_clock_of_this_machine(clicked, monkeypatch: pytest.MonkeyPatch):
    client, data = clicked
    frame, _ = _frame(client)
    sent = {"request_id": "request-3", "window": [2, 2, 10, 10], "runs": [0, 100], "detection": ""}
    at = client.post(f"/api/tracker/{TRACKER}/segment/{frame}/correction", sent).json()["at"]
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        page = client.get(f"/tracker/{TRACKER}/corrections").text
        there = datetime.fromisoformat(at).astimezone(timezone(timedelta(hours=9)))
        assert f"<time>{there:%Y-%m-%d %H:%M}</time>" in page
    finally:
        monkeypatch.undo()
        time.tzset()
    with CorrectionLog(corrections_path(data)) as log:
        log.withdraw("request-3")


@pytest.mark.parametrize(
    ("category", "words"), [("脇役\u3000横顔", ""), ("a\nb", "does not print"), ("x" * 101, "100")]
)
def test_a_category_may_be_any_words_of_a_line(clicked, category, words):
    client, _ = clicked
    frame, _ = _frame(client)
    sent = {"window": [2, 2, 10, 10], "runs": [0, 100], "set": "own-words", "category": category}
    answer = client.post(f"/api/tracker/{TRACKER}/segment/{frame}/annotation", sent)
    assert answer.status_code == (422 if words else 200)
    assert words in answer.json().get("error", "")


def test_a_frame_whose_original_is_gone_is_told_as_that(clicked):
    client, _ = clicked
    told = client.post(f"/api/tracker/{TRACKER}/segment/{'0' * 64}/open", {})
    assert (told.status_code, told.json()["error"]) == (404, "this tracker has no such frame, or its original is gone")
    assert client.get("/api/nothing").json()["error"] == "There is no such page"


def test_an_accepted_mask_becomes_an_annotation(clicked):
    client, data = clicked
    frame, _ = _frame(client)
    sent = {"window": [20, 30, 40, 50], "runs": [0, 2000], "set": "mine", "category": "character"}
    for number, category in ((1, "character"), (2, "text"), (1, "character")):
        asked = {**sent, "category": category}
        told = client.post(f"/api/tracker/{TRACKER}/segment/{frame}/annotation", asked).json()
        assert (told["set"], told["annotation"], told["image"]) == ("mine", number, 1)
    found, _ = read_annotated_set(data / "annotations" / "mine")
    assert [int(found.mask(one).sum()) for one in found.annotations] == [2000, 2000]
    for name in ("../out", "", "a/b", "x" * 65, "CON", "nul", "Com1"):
        wrong = client.post(f"/api/tracker/{TRACKER}/segment/{frame}/annotation", {**sent, "set": name})
        assert wrong.status_code == 422, name


def test_a_mask_is_no_annotation_of_bytes_that_were_not_clicked_on(clicked):
    client, data = clicked
    frame, _ = _frame(client)
    original = next(
        path for path in (data / "input").rglob("*.*")
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == frame
    )  # fmt: skip
    content = original.read_bytes()
    sent = {"window": [20, 30, 40, 50], "runs": [0, 2000], "set": "changed", "category": "character"}
    api = f"/api/tracker/{TRACKER}/segment/{frame}/annotation"
    try:
        original.write_bytes(content + b"one more byte")
        answer = client.post(api, sent)
        assert answer.status_code == 409 and "changed after it was listed" in answer.json()["error"]
        assert not (data / "annotations" / "changed").exists()
    finally:
        original.write_bytes(content)
    assert client.post(api, sent).status_code == 200
    found, _ = read_annotated_set(data / "annotations" / "changed")
    assert found.images[0].path.stem.endswith(f"_{original.stem}")


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"{", b'{"points": [[NaN, 1]], "labels": [1]}', {"points": [[1e400, 1]], "labels": [1]},
        {"points": [[1, 2, 3]], "labels": [1]}, {"points": [[1, 2]], "labels": [2]}, {"points": [[1, 2]], "labels": []},
        {"points": [[5000, 2]], "labels": [1]}, {"points": [["1", 2]], "labels": [1]}, {"box": [1, 2, 3]},
        {"box": [5, 5, 5, 5]}, {"box": [True, 0, 9, 9]}, {"points": [[9, 9]], "labels": [0]}, {},
        {"points": [[9, 9]] * (MOST_POINTS + 1), "labels": [1] * (MOST_POINTS + 1)},
        {"points": [[9, 9]], "labels": [1], "after": [1, "2"]},
    ],
)  # fmt: skip
def test_prompts_that_do_not_fit_are_refused(clicked, body):
    client, _ = clicked
    frame, _ = _frame(client)
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    answer = client.post(f"/api/tracker/{TRACKER}/segment/{frame}/ask", content)
    assert answer.status_code == 422 and answer.json()["error"]


@pytest.mark.parametrize(
    "change",
    [
        {"window": [0, 0, 4000, 4000], "runs": [0, 16_000_000]}, {"window": [-1, 0, 2, 2], "runs": [0, 4]},
        {"window": [0, 0, 2, 2], "runs": [0, 5]}, {"window": [0, 0, 2, 2], "runs": [-4, 8]},
        {"window": [0, 0, 2, 2], "runs": [4]}, {"window": [0, 0, 2.5, 2], "runs": [0, 5]}, {"detection": "f" * 16},
        {"request_id": "../../x"}, {"category": "x" * 101}, {"window": None}, {"runs": "many"},
    ],
)  # fmt: skip
def test_masks_that_do_not_fit_are_refused_and_nothing_is_kept(clicked, change):
    client, data = clicked
    frame, _ = _frame(client)
    before = len(read_corrections(data)[0])
    sent = {"request_id": "request-9", "window": [0, 0, 2, 2], "runs": [0, 4], "detection": "", **change}
    assert client.post(f"/api/tracker/{TRACKER}/segment/{frame}/correction", sent).status_code == 422
    assert len(read_corrections(data)[0]) == before


def test_large_bodies_and_unknown_frames_are_refused(clicked):
    client, _ = clicked
    frame, _ = _frame(client)
    assert client.post(f"/api/tracker/{TRACKER}/segment/{frame}/ask", b" " * (4 * 2**20 + 1)).status_code == 413
    for name in ("0" * 64, "x", "..%2f..", "0" * 7):
        assert client.get(f"/tracker/{TRACKER}/segment/{name}").status_code == 404
        assert client.post(f"/api/tracker/{TRACKER}/segment/{name}/open", {}).status_code == 404


def test_a_model_that_dies_is_told_and_the_next_click_works(clicked):
    client, _ = clicked
    frame, _ = _frame(client)
    api = f"/api/tracker/{TRACKER}/segment/{frame}/ask"
    died = client.post(api, {"points": [[1, 90]], "labels": [1]})
    assert died.status_code == 503 and "started again at the next click" in died.json()["error"]
    assert client.post(api, {"points": [[100, 90]], "labels": [1]}).status_code == 200


def test_others_may_not_click(drawn):
    app = create_app(drawn, password_hash=CHEAP.hash("secret words"))
    asked = f"/api/tracker/{TRACKER}/segment/{'0' * 64}"
    for name in ("open", "ask", "correction", "annotation"):
        assert Client(app).post(f"{asked}/{name}", {}).status_code == 401
    assert Client(app).get(f"/tracker/{TRACKER}/corrections").status_code == 401
    free = Client(create_app(drawn, password_hash=None))
    foreign = {"Origin": "https://elsewhere.example", "X-Lora-Assets": "1", "Sec-Fetch-Site": "cross-site"}
    for name in ("open", "ask", "correction", "annotation"):
        assert free.ask("POST", f"{asked}/{name}", foreign, b"{}").status_code == 403
        assert free.ask("POST", f"{asked}/{name}", {"Sec-Fetch-Site": "same-origin"}, b"{}").status_code == 403
