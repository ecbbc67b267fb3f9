"""Verdicts over HTTP: what is answered when, what is refused with which words, and that nothing is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from lora_assets.tracker.app import create_app
from lora_assets.verdicts import open_log
from lora_assets.verdicts.log import VerdictLog, log_path
from lora_assets.verdicts.record import NOTE_LIMIT
from lora_assets_tests.tracker.conftest import Client
from lora_assets_tests.tracker.drawn_data import HALF_MADE, TRACKER

URL = f"/api/tracker/{TRACKER}/verdicts"
RTL = "‏הערה‎ \u202eevil\u202c <script>alert(1)</script>"


@pytest.fixture
def client(own: Path, client_of: Callable[[Path], Client]) -> Client:
    return client_of(own)


@pytest.fixture
def crops(client: Client) -> list[str]:
    return client.get(f"/api/tracker/{TRACKER}/crops").json()["crop"]


def body(*marks: dict, request_id: str = "request-1") -> dict:
    return {"request_id": request_id, "marks": list(marks)}


def test_a_mark_is_answered_when_the_log_has_it(own: Path, client: Client, crops: list[str]):
    answer = client.post(URL, body({"crop": crops[0], "value": "good", "stars": 5}))
    assert answer.status_code == 200
    assert answer.json()["crops"] == {crops[0]: ["good", 5, "", False]}
    assert answer.json()["previous"] == {crops[0]: ["", None, "", False]}
    assert answer.headers["cache-control"] == "private, no-store"
    with open_log(own) as log:
        (verdict,) = log.history()
    assert (verdict.value, verdict.mark.stars, verdict.mark.tracker) == ("good", 5, TRACKER)
    page = client.get(f"/tracker/{TRACKER}").text
    assert 'class="verdict verdict-good">✓ good' in page
    assert "<b>1</b>" in client.get("/").text.partition("said-good")[2][:60]


def test_many_are_one_action_that_one_undo_takes_back(client: Client, crops: list[str]):
    client.post(URL, body(*({"crop": crop, "value": "bad"} for crop in crops)))
    answer = client.post(f"{URL}/undo", {"request_id": "undo-0001"})
    assert {tuple(said) for said in answer.json()["crops"].values()} == {("", None, "", False)}
    assert len(answer.json()["crops"]) == 12
    assert {said[0] for said in answer.json()["previous"].values()} == {"bad"}
    empty = client.post(f"{URL}/undo", {"request_id": "undo-0002"})
    assert (empty.status_code, "undone" in empty.json()["error"]) == (409, True)


def test_another_tab_asks_from_a_number_on_and_a_new_table_begins_anew(client: Client, crops: list[str]):
    first = client.get(URL).json()
    assert (first["seq"], first["all"], first["crops"]) == (0, True, {})
    client.post(URL, body({"crop": crops[0], "value": "good"}))
    client.post(URL, body({"crop": crops[1], "note": "her hair"}, request_id="request-2"))
    news = client.get(f"{URL}?since=1&epoch={first['epoch']}").json()
    assert (news["seq"], news["all"], news["crops"]) == (2, False, {crops[1]: ["", None, "her hair", False]})
    other = client.get(f"{URL}?since=1&epoch=another").json()
    assert (other["all"], set(other["crops"])) == (True, {crops[0], crops[1]})
    assert client.get(f"{URL}?since=99&epoch={first['epoch']}").json()["all"]


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        (b"{", 422, "not JSON"),
        (b"\xff", 422, "not JSON"),
        (b"[]", 422, "no JSON object"),
        (b"[" * 100_000, 422, "not JSON"),
        ({"marks": []}, 422, "request_id"),
        (body(), 422, "1 to 2,000"),
        (body("x"), 422, "a mark holds"),
        (body({"crop": "aa" * 16}), 422, "a mark holds"),
        (body({"crop": "aa" * 16, "value": "good"}), 404, "has no crop aaaa"),
        (body({"crop": "../../etc", "value": "good"}), 422, "no id of a crop"),
        (body({"crop": "aa" * 16, "value": "great"}), 422, "good, bad, exclude, cleared"),
        (body({"crop": "aa" * 16, "value": None}), 422, "unknown"),
        (body({"crop": "aa" * 16, "stars": 6}), 422, "1 to 5"),
        (body({"crop": "aa" * 16, "stars": True}), 422, "1 to 5"),
        (body({"crop": "aa" * 16, "note": 5}), 422, "must be a text"),
        (body({"crop": "aa" * 16, "stars": 1}, {"crop": "aa" * 16, "stars": 2}), 422, "named twice"),
        (body({"crop": "aa" * 16, "stars": 1}, request_id="short"), 422, "request_id"),
        (body({"crop": "aa" * 16, "stars": 1, "more": 1}), 422, "a mark holds"),
        (b"x" * 1_100_000, 413, "mark fewer crops"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_words_and_nothing_is_saved(
    own: Path, client: Client, told: object, status: int, words: str
):
    answer = client.post(URL, told)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert not log_path(own).exists() or not open_log(own).history()


def test_of_many_marks_those_of_unknown_crops_are_refused_and_the_others_saved(client: Client, crops: list[str]):
    marks = [{"crop": crop, "value": "bad"} for crop in crops]
    answer = client.post(URL, body(*marks, {"crop": "aa" * 16, "value": "bad"}))
    assert (answer.status_code, set(answer.json()["crops"])) == (200, set(crops))
    assert {crop: "has no crop" in words for crop, words in answer.json()["refused"].items()} == {"aa" * 16: True}
    alone = client.post(URL, body({"crop": "aa" * 16, "value": "bad"}, request_id="request-2"))
    assert (alone.status_code, set(alone.json()["refused"])) == (404, {"aa" * 16})


def test_a_mark_while_detections_are_made_anew_works_later(own: Path, client: Client, crops: list[str]):
    table = own / "tables" / "detections" / TRACKER
    told = body({"crop": crops[0], "value": "good"})
    table.rename(table.with_name("AWAY"))
    answer = client.post(URL, told)
    assert (answer.status_code, "wait for the run" in answer.json()["error"]) == (503, True)
    table.with_name("AWAY").rename(table)
    assert client.post(URL, told).status_code == 200


def test_a_note_of_a_hundred_kilobytes_is_refused_with_its_limit(client: Client, crops: list[str]):
    answer = client.post(URL, body({"crop": crops[0], "note": "x" * 100_000}))
    assert answer.status_code == 422
    assert f"at most {NOTE_LIMIT}" in answer.json()["error"]
    assert client.post(URL, body({"crop": crops[0], "note": "x" * NOTE_LIMIT})).status_code == 200
    lone = client.post(
        URL, b'{"request_id": "request-3", "marks": [{"crop": "%s", "note": "\\ud800"}]}' % crops[0].encode()
    )
    assert (lone.status_code, "half a character" in lone.json()["error"]) == (422, True)


def test_a_hostile_note_is_shown_as_text(client: Client, crops: list[str]):
    client.post(URL, body({"crop": crops[0], "note": RTL}))
    page = client.get(f"/tracker/{TRACKER}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert client.get(URL).json()["crops"][crops[0]][2] == RTL


def test_unknown_trackers_are_named_and_half_made_ones_have_no_crops(client: Client):
    for method in (lambda url: client.get(url), lambda url: client.post(url, body({"crop": "aa" * 16, "stars": 1}))):
        answer = method("/api/tracker/NO-SUCH/verdicts")
        assert (answer.status_code, "there is no tracker NO-SUCH" in answer.json()["error"]) == (404, True)
    assert client.get(f"/api/tracker/{HALF_MADE}/verdicts").json()["crops"] == {}
    assert client.get(f"/api/tracker/{HALF_MADE}/crops").json()["crop"] == []
    refused = client.post(f"/api/tracker/{HALF_MADE}/verdicts", body({"crop": "aa" * 16, "stars": 1}))
    assert refused.status_code == 404


def test_a_full_disk_is_507_and_the_same_request_works_later(
    client: Client, crops: list[str], monkeypatch: pytest.MonkeyPatch
):
    client.post(URL, body({"crop": crops[0], "value": "good"}))

    def full(*_: object) -> None:
        raise apsw.FullError("database or disk is full")

    told = body({"crop": crops[1], "value": "bad"}, request_id="request-2")
    with monkeypatch.context() as patch:
        patch.setattr(VerdictLog, "_next_time", full)
        answer = client.post(URL, told)
    assert answer.status_code == 507
    assert "the disk is full: free space" in answer.json()["error"]
    assert client.get(URL).json()["crops"] == {crops[0]: ["good", None, "", False]}
    assert client.post(URL, told).status_code == 200


def test_a_log_that_cannot_be_read_is_503_and_the_page_says_why(own: Path, client_of: Callable[[Path], Client]):
    log_path(own).parent.mkdir(parents=True)
    log_path(own).write_bytes(b"not a database" * 500)
    client = client_of(own)
    assert client.get(URL).status_code == 503
    assert client.post(f"{URL}/undo", {"request_id": "undo-0001"}).status_code == 503
    page = client.get(f"/tracker/{TRACKER}")
    assert page.status_code == 200
    assert "Verdicts cannot be read at the moment." in page.text
    assert "backups" in page.text


def test_verdicts_are_carried_away_and_back(own: Path, client: Client, crops: list[str], drawn: Path, tmp_path: Path):
    client.post(URL, body(*({"crop": crop, "value": "good", "note": "a\u2028b"} for crop in crops[:3])))
    client.post(f"{URL}/undo", {"request_id": "undo-0001"})
    client.post(URL, body({"crop": crops[1], "value": "bad"}, request_id="request-2"))
    exported = client.get("/api/verdicts.jsonl")
    assert exported.headers["content-disposition"].startswith('attachment; filename="verdicts-')
    assert len([json.loads(line) for line in exported.text.split("\n") if line]) == 7
    other = Client(create_app(shutil.copytree(drawn, tmp_path / "other"), password_hash=None))
    assert other.get("/api/verdicts.jsonl").text == ""
    assert other.post("/api/verdicts/import", exported.content).json() == {"added": 7, "known": 0}
    assert other.post("/api/verdicts/import", exported.content).json() == {"added": 0, "known": 7}
    said = [{crop: told for crop, told in one.get(URL).json()["crops"].items() if any(told)} for one in (client, other)]
    assert said[0] == said[1] == {crops[1]: ["bad", None, "", False]}
    refused = other.post("/api/verdicts/import", exported.content + b'{"x": 1}')
    assert (refused.status_code, "line 8" in refused.json()["error"]) == (422, True)
    assert other.post("/api/verdicts/import", b"\xff\xfe").status_code == 422
    assert other.post("/api/verdicts/import", b"[" * 100_000).status_code == 422


def test_what_a_command_writes_meanwhile_is_followed(own: Path, client: Client, crops: list[str]):
    client.post(URL, body({"crop": crops[0], "value": "good"}))
    with open_log(own) as log:
        log.undo(crops[0], "by-hand")
    assert client.get(URL).json()["crops"] == {crops[0]: ["", None, "", False]}
    # A reader of the file itself does not stop the pages.
    reader = sqlite3.connect(log_path(own))
    assert reader.execute("select count(*) from verdict").fetchone() == (2,)
    assert client.post(URL, body({"crop": crops[0], "value": "bad"}, request_id="request-2")).status_code == 200
    reader.close()


def test_the_list_is_known_again_by_its_tag(client: Client):
    first = client.get(f"/api/tracker/{TRACKER}/crops")
    assert first.headers["cache-control"] == "private, no-store"
    again = client.get(f"/api/tracker/{TRACKER}/crops", If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"/api/tracker/{TRACKER}/crops?tier=low", If_None_Match=first.headers["etag"]).status_code == 200


def test_marks_need_the_header_that_only_own_scripts_send(client: Client, crops: list[str]):
    content = json.dumps(body({"crop": crops[0], "value": "good"})).encode()
    for headers in ({}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "cross-site", "X-Lora-Assets": "1"}):
        assert client.ask("POST", URL, headers, content).status_code == 403


def test_the_first_mark_of_a_day_makes_a_backup_and_a_failing_one_holds_nothing_up(
    own: Path, client: Client, crops: list[str]
):
    backups = log_path(own).parent / "backups"
    client.post(URL, body({"crop": crops[0], "value": "good"}))
    (kept,) = backups.iterdir()
    with VerdictLog(kept) as copy:
        assert [verdict.value for verdict in copy.history()] == ["good"]
    shutil.rmtree(backups)
    backups.write_text("a file where a folder should be")
    other = Client(create_app(own, password_hash=None))
    answer = other.post(URL, body({"crop": crops[1], "value": "bad"}, request_id="request-2"))
    assert answer.status_code == 200
