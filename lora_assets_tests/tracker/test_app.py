"""Every route: what it says, its headers, and what it refuses."""

from __future__ import annotations

import hashlib
import html
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import httpx
import numpy as np
import pytest
from argon2 import PasswordHasher
from PIL import Image

from lora_assets.specs import dataset_slug, register_dataset
from lora_assets.store import Store
from lora_assets.tables import ScoredCrop, from_table
from lora_assets.tracker.app import create_app
from lora_assets.tracker.headers import HEADERS
from lora_assets_tests.tracker.conftest import Client
from lora_assets_tests.tracker.drawn_data import EVIL, HALF_MADE, JAPANESE, RUN_ID, TRACKER
from lora_assets_tests.tracker.test_guard import basic

PAGE = f"/tracker/{TRACKER}"
SLUG = dataset_slug(JAPANESE)


def crops_of(data: Path) -> list[ScoredCrop]:
    table = Store(data).cell_table("scored_crops", SLUG, TRACKER)
    assert table is not None
    return from_table(table.read(), ScoredCrop)


def links(text: str, pattern: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(rf'(?:href|src)="({pattern})"', text)]


def kind_of(url: str) -> str:
    """What an address leads to: `thumb`, `crop`, `static`, ... or a page."""
    parts = url.partition("?")[0].split("/")
    return parts[3] if len(parts) > 3 and parts[1] == "tracker" else parts[1]


@pytest.fixture(scope="module")
def answers(client: Client) -> dict[str, httpx.Response]:
    """Answers by address: the pages, and what they link to on this server, up to 12 of a kind."""
    found: dict[str, httpx.Response] = {}
    waiting = ["/", PAGE, f"{PAGE}?show=nothing", f"/tracker/{HALF_MADE}", f"/api{PAGE}"]
    while waiting:
        url = waiting.pop(0)
        if url in found or sum(kind_of(url) == kind_of(seen) for seen in found) >= 12:
            continue
        found[url] = client.get(url)
        waiting += links(found[url].text, r"/[^\"#]*")
    return found


def test_every_address_that_a_page_names_is_there_and_private(answers: dict[str, httpx.Response]):
    kinds = {kind_of(url) for url in answers}
    assert kinds >= {"", "tracker", "api", "thumb", "cutout", "mask", "frame", "frame-thumb", "static", "crop"}
    for url, answer in answers.items():
        assert answer.status_code == 200, url
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (url, name)
        picture = re.search(r"\.(webp|png|jpg|css|js|svg)\b", url) and "/before/" not in url
        kept = "private, max-age=31536000, immutable" if picture else "private, no-store"
        assert answer.headers["cache-control"] == kept, url


def test_pictures_are_what_their_type_says_and_carry_no_metadata(answers: dict[str, httpx.Response]):
    forms = {"image/webp": "WEBP", "image/png": "PNG", "image/jpeg": "JPEG"}
    seen = set()
    for answer in answers.values():
        form = forms.get(answer.headers["content-type"])
        if form is None:
            continue
        seen.add(form)
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.format == form
            assert not picture.getexif()
            assert "xmp" not in picture.info
            picture.load()
    assert seen == set(forms.values())


PROBES = (
    "/static/../app.py",
    "/static/..%2fapp.py",
    "/static/%2e%2e/password.py",
    "/tracker/..%2f..%2fetc/thumb/aa.webp",
    "/tracker/%2e%2e",
    "/tracker/a%00b",
    f"{PAGE}/thumb/..%2f..%2f..%2fpassword.webp",
    f"{PAGE}/thumb/{'a' * 32}.webp",
    f"{PAGE}/thumb/{'A' * 32}.webp",
    f"{PAGE}/frame/{'0' * 64}.jpg",
    f"{PAGE}/frame/passwd.jpg",
    f"{PAGE}/frame-thumb/{'0' * 64}.webp",
    f"{PAGE}/cutout/{'0' * 32}.png",
    f"{PAGE}/mask/{'0' * 32}.png",
    f"{PAGE}/crop/{'0' * 32}",
    f"{PAGE}/crop/x",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/static/",
    "/static",
    "/data/password.toml",
    "/api/tracker/nope",
    f"/tracker/{'x' * 65}",
)


@pytest.mark.parametrize("url", PROBES)
def test_nothing_is_served_that_no_table_names(client: Client, url: str):
    answer = client.get(url)
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_a_picture_of_another_tracker_is_not_served(client: Client, drawn: Path):
    crop = crops_of(drawn)[0].crop_id
    assert client.get(f"{PAGE}/thumb/{crop}.webp").status_code == 200
    assert client.get(f"/tracker/{HALF_MADE}/thumb/{crop}.webp").status_code == 404


def test_without_the_password_every_route_is_401_and_empty(drawn: Path, answers: dict[str, httpx.Response]):
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    guarded = Client(create_app(drawn, password_hash=hasher.hash("twelve letters")))
    one_of_each = {kind_of(url): url for url in answers}
    for url in [*one_of_each.values(), *PROBES]:
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            answer = guarded.ask(method, url)
            assert (answer.status_code, answer.content) == (401, b""), (method, url)
    answer = guarded.get("/")
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert guarded.get(PAGE, Authorization=basic("twelve letters")).status_code == 200


def test_foreign_hosts_and_sites_are_refused(client: Client, drawn: Path):
    crop = crops_of(drawn)[0].crop_id
    assert client.get(PAGE, Host="evil.example").status_code == 421
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert client.ask("GET", f"{PAGE}/thumb/{crop}.webp", embedded).status_code == 403
    assert client.ask("POST", PAGE).status_code == 403
    assert client.ask("POST", PAGE, {"Sec-Fetch-Site": "same-origin"}).status_code == 403
    assert client.post(PAGE, {}).status_code == 405


class _Elements(HTMLParser):
    """Names of elements and attributes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(f"{tag}[{','.join(name for name, _ in attrs)}]")


@pytest.mark.parametrize(
    "query", ["", "?show=quarantined", "?show=settings", "?show=nothing", f"?tier={EVIL}&flag={EVIL}"]
)
def test_hostile_names_are_shown_as_text(client: Client, query: str):
    text = client.get(PAGE + query).text
    parser = _Elements()
    parser.feed(text)
    assert not [element for element in parser.seen if "onerror" in element]
    assert EVIL not in text
    assert "<img src=x" not in text
    if not query.startswith("?tier"):
        assert html.escape(EVIL).replace("&quot;", "&#34;") in text


def test_a_hostile_crop_page_and_a_hostile_address_are_text(client: Client):
    crop = links(
        client.get(f"{PAGE}?dataset={dataset_slug(EVIL.replace('/', ''))}").text, r"/tracker/[^\"]*/crop/[^\"]*"
    )[0]
    page = client.get(crop).text
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in page
    assert "<img src=x" not in page
    missing = client.get("/tracker/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert "<script>alert" not in missing.text


def test_an_unknown_tracker_is_named_with_the_known_ones(client: Client):
    answer = client.get("/tracker/NO-SUCH")
    assert answer.status_code == 404
    assert "NO-SUCH" in answer.text
    assert f'href="/tracker/{TRACKER}"' in answer.text
    assert client.get("/api/tracker/NO-SUCH").json()["error"].startswith("there is no tracker NO-SUCH")


def test_a_half_made_tracker_shows_what_there_is(client: Client):
    text = client.get(f"/tracker/{HALF_MADE}").text
    assert "0 of 2 datasets are done" in text
    assert "The crops are not made yet." in text
    assert "not made yet" in client.get(f"/tracker/{HALF_MADE}?show=settings").text
    assert "壊れ.png" in client.get(f"/tracker/{HALF_MADE}?show=quarantined").text


def test_the_crop_page_tells_everything_and_links_to_the_run(client: Client, drawn: Path):
    for crop in crops_of(drawn):
        page = client.get(f"{PAGE}/crop/{crop.crop_id}?in={SLUG}&box={crop.detection_id}").text
        assert f"http://127.0.0.1:3000/runs/{RUN_ID}" in page
        assert crop.frame_sha256 in page
        assert f"{crop.score:.3f}" in page
        assert "starter-yolo" in page
        assert ("it is drawn from frame and mask" in page) is not crop.has_picture
    assert "http://127.0.0.1:3000/assets/tracker_dashboard?partition=" + TRACKER in client.get(PAGE).text


def test_a_vetoed_crop_is_drawn_from_frame_and_mask(client: Client, drawn: Path):
    vetoed = next(crop for crop in crops_of(drawn) if not crop.has_picture)
    answer = client.get(f"{PAGE}/cutout/{vetoed.crop_id}.png")
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (vetoed.width, vetoed.height)
        assert picture.mode == "RGBA"
        assert np.asarray(picture)[..., 3].any()


def test_the_mask_lies_in_the_window_of_the_frame(client: Client, drawn: Path):
    crop = crops_of(drawn)[0]
    page = client.get(f"{PAGE}/crop/{crop.crop_id}").text
    x, y, width, height = map(int, re.findall(r'x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', page)[0])
    assert (x - 4, y - 4, width + 8) == (crop.x, crop.y, crop.width)
    with Image.open(io.BytesIO(client.get(f"{PAGE}/mask/{crop.crop_id}.png").content)) as mask:
        assert mask.size == (width, height)


@pytest.mark.parametrize(("damage", "words"), [("change", "has changed"), ("remove", "is gone"), ("link", "is gone")])
def test_an_original_that_is_not_the_rows_is_not_shown(
    own: Path, client_of: Callable[[Path], Client], damage: str, words: str
):
    crop = next(crop for crop in crops_of(own) if not crop.has_picture)
    client = client_of(own)
    assert client.get(f"{PAGE}/frame/{crop.frame_sha256}.jpg").status_code == 200
    folder = own / "input" / JAPANESE
    original = next(p for p in folder.iterdir() if hashlib.sha256(p.read_bytes()).hexdigest() == crop.frame_sha256)
    content = original.read_bytes()
    if damage == "change":
        original.write_bytes(content + b" ")
    else:
        original.unlink()
    if damage == "link":
        (own / "elsewhere.png").write_bytes(content)
        original.symlink_to(own / "elsewhere.png")
    for kind in (f"frame/{crop.frame_sha256}.jpg", f"cutout/{crop.crop_id}.png"):
        answer = client.get(f"{PAGE}/{kind}")
        assert answer.status_code == 404
        assert words in answer.text
        assert answer.headers["cache-control"] == "private, no-store"
    page = client.get(f"{PAGE}/crop/{crop.crop_id}?in={SLUG}").text
    assert words in page
    assert f"/frame-thumb/{crop.frame_sha256}.webp" in page
    assert f"/cutout/{crop.crop_id}" not in page


def test_originals_are_found_again_where_their_folder_was_moved_to(own: Path, client_of: Callable[[Path], Client]):
    crop = crops_of(own)[0]
    client, page = client_of(own), f"{PAGE}/crop/{crop.crop_id}?in={SLUG}"
    moved = own.parent / "elsewhere" / JAPANESE
    moved.parent.mkdir()
    shutil.move(own / "input" / JAPANESE, moved)
    assert "is gone" in client.get(page).text
    assert register_dataset(own, moved).slug == SLUG
    told = client.get(page).text
    assert "is gone" not in told
    assert str(moved) in told


def test_a_stored_picture_that_is_something_else_is_not_served(own: Path, client_of: Callable[[Path], Client]):
    crop = crops_of(own)[0]
    Store(own).picture("thumbs", crop.crop_id, ".webp").write_bytes(b"<svg onload=alert(1)>")
    assert client_of(own).get(f"{PAGE}/thumb/{crop.crop_id}.webp").status_code == 404


def test_a_table_made_again_is_shown_at_once(own: Path, client_of: Callable[[Path], Client]):
    client = client_of(own)
    before = client.get(f"/api{PAGE}").json()
    store = Store(own)
    table = store.cell_table("scored_crops", SLUG, TRACKER)
    assert table is not None
    store.publish(table.path, ScoredCrop, [table.read().slice(0, 2)], "another", {})
    after = client.get(f"/api{PAGE}").json()
    assert after["state"] != before["state"]
    assert (before["total"]["crops"], after["total"]["crops"]) == (12, 5)
    assert client.get(f"{PAGE}?dataset={SLUG}").text.count('class="tile ') == 2


def test_a_damaged_tracker_file_is_a_page_with_the_reason(own: Path, client_of: Callable[[Path], Client]):
    (own / "trackers" / "BROKEN.toml").write_text("datasets = 5")
    client = client_of(own)
    answer = client.get("/tracker/BROKEN")
    assert answer.status_code == 500
    assert "datasets must be a list" in answer.text
    listed = client.get("/")
    assert listed.status_code == 200
    assert "datasets must be a list" in listed.text


def test_the_language_switch_is_kept(client: Client):
    answer = client.get("/?lang=ja")
    assert "トラッカー" in answer.text
    assert answer.headers["set-cookie"].startswith("lang=ja;")
    assert "トラッカー" in client.get("/", Cookie="lang=ja").text
    assert "追蹤器" in client.get("/", Accept_Language="zh-TW,en;q=0.5").text
    assert "set-cookie" not in client.get("/?lang=xx").headers
    switch = links(client.get(f"{PAGE}?tier=low").text, r"\?[^\"]*lang=ja")
    assert switch == ["?tier=low&lang=ja"]


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline(client: Client):
    for url in ("/", PAGE, f"{PAGE}?show=settings", "/tracker/nope"):
        text = client.get(url).text
        assert not re.search(r'(?:src|<link[^>]*href)="(?:https?:)?//', text)
        parser = _Elements()
        parser.feed(text)
        assert not [told for told in parser.seen if re.search(r"^style|[\[,](style|on\w+)", told)]
        assert {told for told in parser.seen if told.startswith("script")} == {"script[type,src]"}
    css = client.get(links(client.get("/").text, r"/static/[^\"]*style\.css")[0]).text
    assert "url(" not in css
    assert "@import" not in css


def test_the_app_needs_neither_torch_nor_dagster():
    code = (
        "import sys, lora_assets.tracker.serve, lora_assets.tracker.summary as s\n"
        "print([m for m in ('torch', 'dagster', 'ultralytics', 'cv2') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_strange_dagster_address_is_refused(drawn: Path):
    with pytest.raises(ValueError, match="http"):
        create_app(drawn, password_hash=None, dagster_url="javascript:alert(1)")
