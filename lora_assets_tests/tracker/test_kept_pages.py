"""A page is kept while everything that it was drawn from stands still, and never for longer; shortcuts say what routes
say."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi.responses import Response

from lora_assets.specs import TrackerSpec, dataset_slug, read_tracker, set_sealed, write_tracker
from lora_assets.store import Store, atomic_write_bytes
from lora_assets.tables import ScoredCrop
from lora_assets.tracker import cells as cells_module
from lora_assets.tracker import kept_pages, page_sources, routes_pages, shortcuts
from lora_assets.tracker.app import create_app
from lora_assets.tracker.cells import STAGES
from lora_assets.tracker.kept_pages import KeptPages, Sources
from lora_assets.tracker.language import Labels
from lora_assets.tracker.marking import TrackerMarks
from lora_assets.tracker.page_sources import with_folders
from lora_assets.tracker.reviewed import Judged, Once, ReviewedView, Reviews
from lora_assets.tracker.site import Site
from lora_assets.tracker.summary import build_dashboard, dashboard_path
from lora_assets.under_way import telling
from lora_assets.verdicts import Mark, open_log
from lora_assets_tests.tracker.conftest import Client
from lora_assets_tests.tracker.drawn_data import JAPANESE, TRACKER

PAGE = f"/tracker/{TRACKER}"
SLUG = dataset_slug(JAPANESE)
LATER_NS = 3600 * 10**9


def later() -> int:
    """A drawing that begins when everything there is has stood still for an hour."""
    return time.time_ns() + LATER_NS


def found(kept: KeptPages, key: Hashable = "page") -> Response | None:
    """What is kept, as a request of its own turn finds it."""

    async def ask() -> Response | None:
        return kept.get(key)

    return asyncio.run(ask())


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["write", "replace", "times", "delete", "appear", "move the folder", "link"])
def test_any_change_of_a_source_ends_a_page(tmp_path: Path, change: str):
    folder, other = tmp_path / "tables" / "masks", tmp_path / "elsewhere"
    table, absent, link = folder / "a.parquet", folder / "b.parquet", folder / "c.parquet"
    folder.mkdir(parents=True)
    table.write_bytes(b"rows")
    link.symlink_to(other)
    kept, answer = KeptPages(), Response(b"page")
    sources = Sources(with_folders(tmp_path, (table, absent, link)))
    assert kept.keep("page", answer, sources, later())
    assert found(kept) is answer
    if change == "write":
        table.write_bytes(b"other rows")
    elif change == "replace":
        before = table.stat()
        atomic_write_bytes(table, b"rows")
        os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "times":
        os.utime(table, (1, 1))
    elif change == "delete":
        table.unlink()
    elif change == "appear":
        absent.write_bytes(b"new")
    elif change == "move the folder":
        folder.rename(tmp_path / "tables" / "old")
    else:
        other.write_bytes(b"new")
    assert found(kept) is None
    assert len(kept) == 0


def test_what_changed_a_moment_ago_is_not_trusted(tmp_path: Path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    kept, sources = KeptPages(), Sources((str(file),))
    changed = file.stat().st_ctime_ns
    assert not kept.keep("page", Response(b""), sources, changed + kept_pages.SETTLED_NS - 1)
    assert kept.keep("page", Response(b""), sources, changed + kept_pages.SETTLED_NS)


def test_what_is_in_no_file_is_asked_and_places_count_by_what_they_are(tmp_path: Path):
    place, still = tmp_path / "frames", [True]
    place.mkdir()
    kept = KeptPages()
    sources = Sources((str(tmp_path / "x"),), (str(place),), lambda: still[0])
    assert kept.keep("page", Response(b"1"), sources, later())
    (place / "frame.png").write_bytes(b"frames may come and go")
    assert found(kept) is not None
    still[0] = False
    assert found(kept) is None
    assert not kept.keep("page", Response(b"1"), sources, later())
    still[0] = True
    assert kept.keep("page", Response(b"1"), sources, later())
    (place / "frame.png").unlink()
    place.rmdir()
    place.write_bytes(b"a file now")
    assert found(kept) is None


def test_memory_is_bounded_and_the_least_used_goes(tmp_path: Path):
    kept, sources = KeptPages(most_bytes=80_000), Sources((str(tmp_path),))
    for name in "abc":
        assert kept.keep(name, Response(b"." * 30_000), sources, later())
        found(kept, "a")
    assert [found(kept, name) is not None for name in "abc"] == [True, False, True]
    assert not kept.keep("d", Response(b"." * (kept_pages._LARGEST + 1)), sources, later())


@pytest.mark.parametrize("what", ["cookies", "sources"])
def test_memory_beside_the_text_counts_too(tmp_path: Path, what: str):
    kept = KeptPages(most_bytes=100_000)
    paths = (str(tmp_path),) * (40 if what == "sources" else 1)
    for number in range(50):
        key = (f"/{number}", (b"cookie", b"c" * (20_000 if what == "cookies" else 1)))
        assert kept.keep(key, Response(b"a small page"), Sources(paths), later())
    assert len(kept) <= 5
    for key in tuple(kept._kept):
        kept._drop(key)
    assert kept._bytes == 0


def test_one_look_serves_those_who_came_before_it_and_nobody_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file, looks = tmp_path / "a", []
    file.write_bytes(b"1")
    look = kept_pages._mark
    kept = KeptPages()
    assert kept.keep("page", Response(b"1"), Sources((str(file),)), later())
    monkeypatch.setattr(kept_pages, "_mark", lambda path: looks.append(path) or look(path))

    async def turns() -> tuple[list[Any], Any]:
        async def ask() -> Any:
            return kept.get("page")

        together = await asyncio.gather(*(ask() for _ in range(9)))
        count = len(looks)
        file.write_bytes(b"22")
        return [count, *together], await asyncio.create_task(ask())

    (count, *together), after = asyncio.run(turns())
    assert count == 1
    assert all(one is not None for one in together)
    assert after is None


# --- a tracker's page ------------------------------------------------------------------------------------------------


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written a moment ago may be kept: these tests do not wait for two seconds."""
    monkeypatch.setattr(kept_pages, "SETTLED_NS", -LATER_NS)


def site_of(client: Client) -> Site:
    told = [one.kwargs["site"] for one in client.app.user_middleware if "site" in one.kwargs]  # pyright: ignore
    return told[0]


def _mark(data: Path, crop: dict[str, Any]) -> None:
    """As another process marks it."""
    with open_log(data) as log:
        log.append(
            Mark(
                tracker=TRACKER, dataset=SLUG, frame_sha256=crop["frame_sha256"], crop_id=crop["crop_id"], value="bad",
                box=tuple(crop[side] for side in ("x1", "y1", "x2", "y2")), request_id="from-elsewhere-1",
            )
        )  # fmt: skip


def _first_crop(data: Path) -> dict[str, Any]:
    store = Store(data)
    crops, boxes = (store.cell_table(name, SLUG, TRACKER) for name in ("scored_crops", "detections"))
    assert crops is not None
    assert boxes is not None
    crop = crops.read().to_pylist()[0]
    box = next(row for row in boxes.read().to_pylist() if row["detection_id"] == crop["detection_id"])
    return {**box, **crop}


CHANGES: dict[str, Callable[[Path], object]] = {
    "a mark of another process": lambda data: _mark(data, _first_crop(data)),
    "a table made again": lambda data: Store(data).publish(
        Store(data).table_path("scored_crops", SLUG, TRACKER), ScoredCrop, [], "another", {}
    ),
    "a table that goes": lambda data: Store(data).table_path("masks", SLUG, TRACKER).unlink(),
    "a seal": lambda data: set_sealed(data, TRACKER, not read_tracker(data, TRACKER).sealed),
    "another tracker": lambda data: write_tracker(data, TrackerSpec("OTHER", ())),
    "a folder of frames": lambda data: (data / "input" / "new one").mkdir(),
    "a dashboard": lambda data: dashboard_path(data, TRACKER).unlink(missing_ok=True) or build_dashboard(data, TRACKER),
}


UNSEEN = ("another tracker", "a folder of frames", "a dashboard")
"""Changes of what a page is drawn from that this page does not show."""


@pytest.mark.usefixtures("settled")
def test_every_change_shows_in_the_next_answer(own: Path, client_of: Callable[[Path], Client]):
    client = client_of(own)
    with open_log(own):  # the server's own connection makes no new file then
        for name, change in CHANGES.items():
            first = client.get(PAGE)
            again = client.get(PAGE)
            assert (again.content, again.headers) == (first.content, first.headers), name
            assert len(site_of(client).kept) == 1, name
            change(own)
            assert found(site_of(client).kept, next(iter(site_of(client).kept._kept))) is None, name
            fresh = client_of(own).get(PAGE)
            assert client.get(PAGE).text == fresh.text, name
            assert (fresh.text == first.text) is (name in UNSEEN), name


@pytest.mark.usefixtures("settled")
def test_a_mark_shows_in_the_next_answer_and_in_every_language(own: Path, client_of: Callable[[Path], Client]):
    client = client_of(own)
    crop = client.get(f"/api{PAGE}/crops").json()["crop"][0]
    for number, value in enumerate(("good", "bad", "exclude")):
        pages = [client.get(PAGE, accept_language=wish).text for wish in ("en", "ja", "en")]
        assert pages[0] == pages[2] != pages[1]
        told = {"request_id": f"request-{number}", "marks": [{"crop": crop, "value": value}]}
        assert client.post(f"/api{PAGE}/verdicts", told).status_code == 200
        for wish in ("en", "ja"):
            assert f"verdict-{value}" in client.get(PAGE, accept_language=wish).text
    assert client.get(f"{PAGE}?lang=ja").headers["set-cookie"] == client.get(f"{PAGE}?lang=ja").headers["set-cookie"]


@pytest.mark.usefixtures("settled")
def test_nothing_is_kept_while_something_is_under_way(own: Path, client_of: Callable[[Path], Client]):
    client = client_of(own)
    with telling(own, SLUG, "detections", TRACKER):
        client.get(PAGE)
        assert len(site_of(client).kept) == 0
    client.get(PAGE)


def test_nothing_is_kept_on_a_share(own: Path, client_of: Callable[[Path], Client], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept_pages, "SETTLED_NS", -LATER_NS)
    monkeypatch.setattr(page_sources, "share_type", lambda folder: "nfs" if folder.parent.name == "input" else None)
    client = client_of(own)
    assert client.get(PAGE).status_code == 200
    assert len(site_of(client).kept) == 1
    (own / "share").mkdir()
    (own / "input" / "linked").symlink_to(own / "share")
    assert client.get(PAGE).status_code == 200
    assert len(site_of(client).kept) == 0


@pytest.mark.parametrize("folder", ["input", "video_frames", ""])
@pytest.mark.usefixtures("settled")
def test_nothing_is_kept_where_a_folder_of_the_project_leads_to_a_share(
    own: Path, client_of: Callable[[Path], Client], monkeypatch: pytest.MonkeyPatch, folder: str
):
    (own / "video_frames").mkdir()
    link = own / folder / "linked"
    monkeypatch.setattr(page_sources, "share_type", lambda path: "nfs" if path == link else None)
    client = client_of(own)
    assert client.get(PAGE).status_code == 200
    assert len(site_of(client).kept) == 1
    link.symlink_to(own.parent)
    assert client.get(PAGE).status_code == 200
    assert len(site_of(client).kept) == 0


@pytest.mark.usefixtures("settled")
def test_a_tracker_of_every_folder_shows_the_frames_of_a_video_at_once(own: Path, client_of: Callable[[Path], Client]):
    write_tracker(own, TrackerSpec("EVERY"))
    (own / "video_frames" / "first").mkdir(parents=True)
    client = client_of(own)
    client.get("/tracker/EVERY")
    assert len(site_of(client).kept) == 1
    (own / "video_frames" / "second").mkdir()
    assert "second.video" in client.get("/tracker/EVERY?show=settings").text
    assert client.get("/tracker/EVERY").text == client_of(own).get("/tracker/EVERY").text


@pytest.mark.usefixtures("settled")
def test_a_page_is_not_kept_that_was_drawn_before_the_judge_spoke(
    own: Path, client_of: Callable[[Path], Client], monkeypatch: pytest.MonkeyPatch
):
    said = Judged({}, np.full(99, 0.5), np.zeros(99), np.zeros(99, np.int8))
    monkeypatch.setattr(Reviews, "_judge_of", lambda *_: (True, ""))
    monkeypatch.setattr(Reviews, "_judged", lambda *_: said)
    monkeypatch.setattr(Once, "begin", lambda once: None)
    name = routes_pages.tile_names

    def words_come_while_the_page_is_drawn(view: ReviewedView, labels: Labels) -> dict[str, dict[str, str]]:
        assert view.judge.value() is said
        return name(view, labels)

    monkeypatch.setattr(routes_pages, "tile_names", words_come_while_the_page_is_drawn)
    client = client_of(own)
    client.get(PAGE)
    assert len(site_of(client).kept) == 0
    client.get(PAGE)
    assert len(site_of(client).kept) == 1


@pytest.mark.usefixtures("settled")
def test_a_verdict_that_readers_see_after_its_file_was_written_ends_a_page(
    own: Path, client_of: Callable[[Path], Client], monkeypatch: pytest.MonkeyPatch
):
    """SQLite writes the row, waits for the disk, and only then shows it: the file says nothing new any more."""
    client = client_of(own)
    client.get(PAGE)  # opens the log
    monkeypatch.setattr(kept_pages, "_mark", lambda path: (0, 0, 0, 0, 0))
    before = client.get(PAGE).text
    assert len(site_of(client).kept) == 1
    crop = client.get(f"/api{PAGE}/crops").json()["crop"][0]
    told = {"request_id": "slow-disk-1", "marks": [{"crop": crop, "value": "bad"}]}
    assert client.post(f"/api{PAGE}/verdicts", told).status_code == 200
    after = client.get(PAGE).text
    assert "verdict-bad" in after
    assert after != before


@pytest.mark.usefixtures("settled")
def test_a_page_that_tells_a_fault_of_the_verdicts_is_not_kept(
    own: Path, client_of: Callable[[Path], Client], monkeypatch: pytest.MonkeyPatch
):
    name, faults = routes_pages.tile_names, ["the log is busy"]

    def another_request_reads_the_log(view: ReviewedView, labels: Labels) -> dict[str, dict[str, str]]:
        view.marks.fault = ""
        return name(view, labels)

    monkeypatch.setattr(routes_pages, "tile_names", another_request_reads_the_log)
    monkeypatch.setattr(TrackerMarks, "try_follow", lambda marks: setattr(marks, "fault", faults[0]))
    client = client_of(own)
    assert faults[0] in client.get(PAGE).text
    assert len(site_of(client).kept) == 0
    faults[0] = ""
    client.get(PAGE)
    assert len(site_of(client).kept) == 1


@pytest.mark.usefixtures("settled")
def test_a_page_is_not_kept_that_was_drawn_while_the_clock_was_set_back(
    own: Path, client_of: Callable[[Path], Client], monkeypatch: pytest.MonkeyPatch
):
    shift, name = [0], routes_pages.tile_names

    def set_back(view: ReviewedView, labels: Labels) -> dict[str, dict[str, str]]:
        shift[0] += 3 * 10**9
        return name(view, labels)

    now = time.time_ns
    monkeypatch.setattr(page_sources, "time", SimpleNamespace(time_ns=lambda: now() - shift[0], monotonic_ns=now))
    client = client_of(own)
    monkeypatch.setattr(routes_pages, "tile_names", set_back)
    client.get(PAGE)
    assert len(site_of(client).kept) == 0
    monkeypatch.setattr(routes_pages, "tile_names", name)
    client.get(PAGE)
    assert len(site_of(client).kept) == 1


_watching: list[set[str]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | Path):
        _watching[-1].add(str(arguments[0]))


@contextmanager
def watched() -> Iterator[set[str]]:
    """The files and folders that this process opens; pyarrow's are seen by the look at them before."""
    if not getattr(_watch, "added", False):
        sys.addaudithook(_watch)  # for good: a hook cannot be taken away
        _watch.added = True  # pyright: ignore[reportFunctionMemberAccess]
    _watching.append(set())
    try:
        yield _watching[-1]
    finally:
        _watching.pop()


@pytest.mark.usefixtures("settled")
def test_the_list_of_sources_names_every_file_that_a_page_is_drawn_from(
    own: Path, client_of: Callable[[Path], Client], monkeypatch: pytest.MonkeyPatch
):
    build_dashboard(own, TRACKER)
    listed: list[Sources] = []
    tell = page_sources.tracker_page_sources
    monkeypatch.setattr(
        "lora_assets.tracker.routes_pages.tracker_page_sources",
        lambda *told: listed.append(tell(*told) or Sources(())) or listed[-1],
    )
    client = client_of(own)
    look = cells_module.file_mark
    with watched() as opened:
        monkeypatch.setattr(cells_module, "file_mark", lambda path: opened.add(str(path)) or look(path))
        assert client.get(PAGE).status_code == 200
    named = {*listed[0].paths, *listed[0].places}
    # States are only ever replaced, and what is not there has to come into its folder: both change the folder.
    in_folder = {path for path in opened if "/progress/" in path or not os.path.lexists(path)}
    nearest = {next(str(up) for up in Path(path).parents if up.exists()) for path in in_folder}
    own_files = {path for path in (opened - in_folder) | nearest if path.startswith(f"{own}/")}
    assert own_files - named == set()
    assert {path.split("/tables/")[1].split("/")[0] for path in own_files if path.endswith(".parquet")} >= set(STAGES)


# --- shortcuts -------------------------------------------------------------------------------------------------------


def test_a_thumbnail_is_the_same_by_shortcut_and_by_route(
    own: Path, client_of: Callable[[Path], Client], monkeypatch: pytest.MonkeyPatch
):
    client = client_of(own)
    crop = _first_crop(own)
    pictures = [f"{PAGE}/thumb/{crop['crop_id']}.webp", f"{PAGE}/frame-thumb/{crop['frame_sha256']}.webp"]
    by_route = [client.get(url) for url in pictures]
    client.get(PAGE)
    read = []
    from_memory = shortcuts.read_from_memory
    monkeypatch.setattr(shortcuts, "read_from_memory", lambda *told: read.append(told) or from_memory(*told))
    for url, routed in zip(pictures, by_route, strict=True):
        short = client.get(url)
        assert (short.status_code, short.content) == (200, routed.content)
        assert dict(short.headers) == dict(routed.headers)
    assert len(read) == 2
    path = Store(own).picture("thumbs", crop["crop_id"], ".webp")
    path.write_bytes(b"<svg onload=alert(1)>")
    assert client.get(pictures[0]).status_code == 404
    path.unlink()
    path.symlink_to(own / "trackers" / f"{TRACKER}.toml")
    assert client.get(pictures[0]).status_code == 404


def test_a_shortcut_waits_for_no_pipe(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert shortcuts.read_from_memory(str(tmp_path / "pipe"), 99) is None


@pytest.mark.parametrize("url", ["thumb/{}.webp", "thumb/%2e%2e{}.webp", "cutout/{}.webp"])
def test_a_shortcut_gives_nothing_that_the_view_does_not_name(client: Client, url: str):
    client.get(PAGE)
    assert client.get(f"{PAGE}/{url.format('0' * 32)}").status_code in (404, 405)


def test_behind_a_password_a_kept_page_is_as_closed_as_any(own: Path, monkeypatch: pytest.MonkeyPatch):
    from argon2 import PasswordHasher

    from lora_assets_tests.tracker.test_guard import basic

    monkeypatch.setattr(kept_pages, "SETTLED_NS", -LATER_NS)
    client = Client(create_app(own, password_hash=PasswordHasher(1, 8, 1).hash("right password")))
    words = {"Authorization": basic("right password")}
    crop = _first_crop(own)
    urls = [PAGE, f"{PAGE}/thumb/{crop['crop_id']}.webp"]
    assert [client.ask("GET", url, words).status_code for url in (*urls, *urls)] == [200] * 4
    assert len(site_of(client).kept) == 1
    for url in urls:
        for headers in ({}, {"Authorization": basic("wrong password")}):
            answer = client.ask("GET", url, headers)
            assert (answer.status_code, answer.content) == (401, b"")
        assert client.ask("GET", url, {**words, "Host": "evil.example"}).status_code == 421
        foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert client.ask("GET", url, {**words, **foreign}).status_code == 403
