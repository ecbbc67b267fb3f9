"""G11: every route without the password, and a thousand hostile requests to pages that are open.

Routes are read from the app itself, so that a page that is added is attacked as well. The quick level asks the app in
this process; the full level repeats it all over a socket against `lora-assets serve` and opens the hostile pages in
Chromium. A thing counts as failed when anything but the refusal comes back, a private text is in the answer, or a file
of the data folder changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.types import ASGIApp, Receive, Scope, Send

from lora_assets.mask_lab.layers import make_layers
from lora_assets.mask_lab.making import make_sweep
from lora_assets.specs import dataset_slug
from lora_assets.store import Store, atomic_write_bytes
from lora_assets.tracker.app import create_app
from lora_assets.tracker.guard import Guard, PasswordGate
from lora_assets.tracker.headers import PrivateHeaders
from lora_assets.tracker.password import set_password
from lora_assets_tests.mask_lab.cells import TRACKER as LAB
from lora_assets_tests.mask_lab.cells import make_cell
from lora_assets_tests.reliability.goals import Figures, Level
from lora_assets_tests.reliability.web_asking import (
    PASSWORD,
    Answer,
    Asker,
    Headers,
    InProcess,
    OverSocket,
    basic,
    free_port,
    nursery,
    until_listening,
)
from lora_assets_tests.reliability.web_hostile_names import OTHER, Planted, injected, plant
from lora_assets_tests.reliability.web_hostile_names import TRACKER as HOSTILE
from lora_assets_tests.reliability.web_probes import (
    BODIES,
    CANARY,
    CREDENTIALS,
    FOREIGN,
    HOSTS,
    METHODS,
    climbing_targets,
    filled,
    random_targets,
    unfit_changes,
)
from lora_assets_tests.reliability.web_servers import naive_files
from lora_assets_tests.tracker.drawn_data import JAPANESE, TRACKER, make_data
from lora_assets_tests.tracker.test_private import routes_of

_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_OWN: Headers = (("Sec-Fetch-Site", "same-origin"), ("X-Lora-Assets", "1"), ("Content-Type", "application/json"))
_NAME = "0123456789abcdef"
_CLIMBED = (
    "/static/0/{}",
    "/tracker/{}",
    f"/tracker/{TRACKER}/thumb/{{}}.webp",
    f"/tracker/{TRACKER}/crop/{{}}",
    "/{}",
)
_LEAKS = (CANARY.encode(), b"argon2", b"root:x:", b"SQLite format 3", b"-----BEGIN")
_SLOWEST_S = 5.0


@dataclass(slots=True)
class Tally:
    """Trials by kind, and what went wrong."""

    tried: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def see(self, kind: str, held: bool, told: str) -> None:
        """One trial: did the defence hold?"""
        self.tried[kind] = self.tried.get(kind, 0) + 1
        if not held:
            self.failures.append(f"{kind}: {told}")


def _leaks(answer: Answer) -> bool:
    return any(leak in answer.body for leak in _LEAKS)


def _state(data: Path) -> dict[str, str]:
    """Every file and folder of the data folder with its content."""
    return {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(data.rglob("*"))
    }


# --- without the password --------------------------------------------------------------------------------------------


def _never_limited(app: ASGIApp) -> ASGIApp:
    """The guard over an app with a clock that runs fast, so that many guesses are answered 401 and not 429."""
    now = iter(range(0, 10**9, 61))
    return PrivateHeaders(Guard(app, gate=PasswordGate(_CHEAP.hash(PASSWORD), clock=lambda: float(next(now)))))


def _credentials(asker: Asker, tally: Tally, targets: list[str], methods: tuple[str, ...], every: int = 1) -> None:
    """Each target x method x what somebody without the password may say: 401, no body, nothing to recognise."""
    cases = [(t, m, c) for t in targets for m in methods for c in CREDENTIALS][::every]
    for target, method, (name, headers) in cases:
        answer = asker.ask(method, target, headers)
        told = {key.lower() for key, _ in answer.headers}
        held = answer.status == 401 and not answer.body and not told & {b"etag", b"set-cookie", b"location"}
        tally.see(
            "credentials", held, f"{method} {target} with credentials {name}: {answer.status} {answer.body[:80]!r}"
        )


def _sockets(asker: InProcess, tally: Tally, targets: list[str]) -> None:
    """A websocket to every target, with no password and with the right one from a foreign page: closed, no word."""
    right = ("Authorization", basic(PASSWORD))
    for target in targets:
        for headers in (
            (),
            (right,),
            (right, ("Origin", "https://evil.example")),
            (("Origin", "http://127.0.0.1:8088"),),
        ):
            said = [message["type"] for message in asker.websocket(target, headers)]
            tally.see("websocket", said == ["websocket.close"], f"{target}: {said}")


def _guesses(tally: Tally, count: int) -> None:
    """Wrong passwords side by side from one address: how many were checked, and does the right one still open?"""
    gate = PasswordGate(_CHEAP.hash(PASSWORD), clock=lambda: 0.0, pause_s=0.0)
    checked: list[bytes] = []
    matches = gate._matches
    gate._matches = lambda password: checked.append(password) or matches(password)

    async def flood() -> list[int]:
        guesses = [basic(f"guess {number}").encode() for number in range(count)]
        first = [await gate.check(guess, "203.0.113.9") for guess in guesses[:10]]
        return first + list(await asyncio.gather(*(gate.check(guess, "203.0.113.9") for guess in guesses[10:])))

    answers = asyncio.run(flood())
    tally.see("guessing", set(answers) <= {401, 429} and answers.count(401) == 10, f"answered {set(answers)}")
    tally.see("guessing", len(checked) <= 12, f"{len(checked)} of {count} guesses at once were checked")
    opens = asyncio.run(gate.check(basic(PASSWORD).encode(), "203.0.113.9"))
    tally.see("guessing", opens == 200, "the right password is locked out")


# --- an open page ----------------------------------------------------------------------------------------------------


def _climbing(asker: Asker, tally: Tally, every: int) -> None:
    for target in list(climbing_targets(_CLIMBED))[::every]:
        answer = asker.ask("GET", target)
        tally.see(
            "traversal", answer.status not in (200, 206, 304) and not _leaks(answer), f"{target}: {answer.status}"
        )


def _foreign_origins(asker: Asker, tally: Tally, routes: list[str], crop: str) -> None:
    """Every changing route with what another site can send. A mark is well formed, so that it would be taken."""
    for path in routes:
        for number, headers in enumerate(FOREIGN):
            told = {"request_id": f"forged-{number:04}", "marks": [{"crop": crop, "value": "bad"}]}
            answer = asker.ask("POST", path, headers, json.dumps(told).encode())
            tally.see("CSRF", answer.status in (400, 403), f"POST {path} with {headers}: {answer.status}")


def _foreign_hosts(asker: Asker, tally: Tally, targets: list[str]) -> None:
    for host in HOSTS:
        for target in targets:
            answer = asker.ask("GET", target, (("Host", host), ("Origin", f"http://{host}")))
            held = answer.status in (0, 400, 421) and not _leaks(answer)
            tally.see("host", held, f"{target} as {host!r}: {answer.status}")


def _embedding(asker: Asker, tally: Tally, pictures: list[str]) -> None:
    """What a page of another site may do with a private picture: nothing; and every answer says so."""
    foreign = (
        (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")),
        (("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")),
        (("Origin", "https://evil.example"),),
    )
    for target in pictures:
        for headers in foreign:
            status = asker.ask("GET", target, headers).status
            tally.see("embedding", status == 403, f"{target} with {headers}: {status}")
        answer = asker.ask("GET", target)
        kept, policy = answer.header("cache-control"), answer.header("cross-origin-resource-policy")
        shut = kept.startswith("private") and policy == "same-origin" and answer.header("x-content-type-options")
        good = answer.body[:4] in (b"RIFF", b"\x89PNG") or answer.body[:3] == b"\xff\xd8\xff"
        plain = not any(mark in answer.body for mark in (b"Exif\0", b"http://ns.adobe.com", b"<svg"))
        tally.see(
            "picture", bool(shut) and good and plain and answer.status == 200, f"{target}: {answer.status} {kept}"
        )


def _looking(asker: Asker, tally: Tally, targets: list[str], data: Path) -> None:
    """Every route looked at, with what would turn a look into a change elsewhere: no file is touched."""
    before = _state(data)
    headers = (("X-HTTP-Method-Override", "POST"), ("X-Lora-Assets", "1"), ("Sec-Fetch-Site", "same-origin"))
    for target in targets:
        for method in ("GET", "HEAD"):
            asker.ask(method, f"{target}?_method=POST&value=bad&marks=1&request_id=forged-0001", headers)
            after = _state(data)
            tally.see(
                "look", after == before, f"{method} {target} changed {sorted(after.items() ^ before.items())[:3]}"
            )


def _broken_input(asker: Asker, tally: Tally, crop: str) -> None:
    """Requests that are too large, too deep, too many, or written to be parsed slowly or wrongly."""
    url = f"/api/tracker/{TRACKER}/verdicts"
    deep = b"[" * 100_000
    cases: list[tuple[str, str, str, Headers, bytes]] = [
        ("deep JSON", "POST", url, _OWN, deep),
        ("deep objects", "POST", url, _OWN, b'{"a":' * 50_000),
        ("a number of 500,000 digits", "POST", url, _OWN, b'{"request_id":' + b"9" * 500_000 + b"}"),
        ("1e999999", "POST", url, _OWN, b'{"request_id":"long-enough","marks":[{"crop":1e999999,"value":"good"}]}'),
        ("NaN", "POST", url, _OWN, b'{"request_id":"long-enough","marks":[{"crop":NaN,"value":Infinity}]}'),
        ("no UTF-8", "POST", url, _OWN, b'{"request_id":"\xff\xfe"}'),
        ("2 MiB of marks", "POST", url, _OWN, b"[" + b'{"crop":"00000000"},' * 100_000 + b"]"),
        ("a file of 17 MiB", "POST", "/api/verdicts/import", _OWN, b"{}\n" * (17 * 2**20 // 3)),
        ("a note of NULs", "POST", url, _OWN,
         json.dumps({"request_id": "nul-note-1", "marks": [{"crop": crop, "note": "\0" * 10}]}).encode()),
        ("10,000 ranges", "GET", "/", (("Range", "bytes=" + ",".join(f"{n}-{n}" for n in range(10_000))),), b""),
        ("10,000 languages", "GET", "/", (("Accept-Language", ",".join(f"x{n};q=0.{n}" for n in range(10_000))),), b""),
        ("10,000 tags", "GET", "/", (("If-None-Match", ",".join(f'"{n}"' for n in range(10_000))),), b""),
        ("a query of 60 kB", "GET", "/tracker/" + TRACKER + "?" + "&".join(f"flag=f{n}" for n in range(5000)), (), b""),
        ("a huge number in a query", "GET", f"{url}?since={'9' * 20_000}", (), b""),
        ("a line end in a query", "GET", "/?lang=ja%0d%0aSet-Cookie:evil=1%0d%0a", (), b""),
        ("a line end in a path", "GET", "/tracker/x%0d%0aEvil:%201", (), b""),
        ("a line end in a cookie", "GET", "/", (("Cookie", "lang=ja%0d%0aevil"),), b""),
        ("SQL in a name", "GET", "/tracker/';DROP%20TABLE%20verdict;--", (), b""),
    ]  # fmt: skip
    clock = time.process_time if isinstance(asker, InProcess) else time.monotonic  # others use the machine, too
    for name, method, target, headers, body in cases:
        began = clock()
        answer, seconds = asker.ask(method, target, headers, body), clock() - began
        split = any(b"\n" in part or b"\r" in part for pair in answer.headers for part in pair)
        evil = any(key.lower() in (b"evil", b"set-cookie") and b"evil" in key + value for key, value in answer.headers)
        held = answer.status not in (500, 502) and seconds < _SLOWEST_S and not split and not evil
        tally.see("broken input", held, f"{name}: {answer.status} after {seconds:.1f} s {answer.body[:100]!r}")


def _broken_changes(asker: Asker, tally: Tally, pages: _Pages) -> None:
    """Every changing route with bodies that do not fit it, from the right page: refused, and no file changes."""

    def state() -> dict[str, str]:  # a log is made when it is opened; what counts is what it says
        files = {name: told for name, told in _state(pages.data).items() if not name.startswith("verdicts")}
        said = asker.ask("GET", "/api/verdicts.jsonl")
        return files | {"rows of the log": said.body.decode() if said.status == 200 else ""}

    before = state()
    plain = [path for path in pages.changing if not path.endswith("/open")]  # that one takes no body
    # An empty file has no rows, and an object that asks nothing is answered by the process that clicks: seconds.
    fitting: dict[str, tuple[bytes, ...]] = {
        "import": (b"",),
        "ask": (b"{}", b'{"x": 1e999}', b'{"request_id": null, "marks": 7}'),
    }
    cases = [(path, body) for path in plain for body in BODIES if body not in fitting.get(path.rpartition("/")[2], ())]
    for path, body in [*cases, *unfit_changes(TRACKER, pages.frame)]:
        answer = asker.ask("POST", path, _OWN, body)
        held = 400 <= answer.status < 500 and not _leaks(answer)
        tally.see("broken change", held, f"{path} {body[:60]!r}: {answer.status}")
    changed = sorted(state().items() ^ before.items())[:3]
    tally.see("broken change", not changed, f"changed {changed}")


# --- names -----------------------------------------------------------------------------------------------------------


def _hostile_pages(planted: Planted) -> list[str]:
    shows = [f"/tracker/{HOSTILE}?show={show}" for show in ("crops", "nothing", "quarantined", "settings")]
    notes = sorted(f"/tracker/{path.stem}" for path in (planted.data / "trackers").glob("NOTE-*.toml"))
    reflected = [
        f"/tracker/{HOSTILE}?flag=%22%3E%3Ci%20data-pwned%3E&tier=%3Ci%20data-pwned%3E&sort='%3E%3Ci%20data-pwned%3E",
        "/tracker/%22%3E%3Cimg%20src=x%20onerror=pwned(1)%20data-pwned=1%3E",
        "/compare?before=%3Ci%20data-pwned%3E&after=%22onload=pwned(1)",
        f"/compare/%3Ci%20data-pwned%3E/{HOSTILE}",
        f"/tracker/{HOSTILE}/crop/%3Ci%20data-pwned%3E",
        "/%3Ci%20data-pwned%3E?lang=%3Ci%20data-pwned%3E",
    ]
    crops = [f"/tracker/{HOSTILE}/crop/{crop}" for crop in planted.crops]
    return ["/", *shows, f"/tracker/{OTHER}", f"/compare/{HOSTILE}/{OTHER}", f"/tracker/{HOSTILE}/dataset", *crops,
            *notes, *reflected]  # fmt: skip


def _hostile_names(planted: Planted, asker: Asker, tally: Tally) -> None:
    """Every hostile text that reaches a page is text there; each counts once, with the page that it was seen on."""
    data = [f"/api/tracker/{HOSTILE}", f"/api/tracker/{HOSTILE}/crops", f"/api/compare/{HOSTILE}/{OTHER}"]
    seen = set()
    for target in _hostile_pages(planted):
        answer = asker.ask("GET", target)
        text = answer.body.decode("utf-8", "replace")
        wrong = injected(text)
        for token in set(re.findall(r"pwn\d\dn\d\dx", text)):
            if token not in seen:
                seen.add(token)
                tally.see("hostile name", not any(token in each for each in wrong), f"{target}: {wrong[:2]}")
        tally.see("hostile page", not wrong and answer.status != 500, f"{target}: {answer.status} {wrong[:2]}")
    for target in data:
        answer = asker.ask("GET", target)
        kind = answer.header("content-type")
        tally.see("hostile page", kind.startswith("application/json"), f"{target} is served as {kind}")
    unreached = {place for token, place in planted.tokens.items()} - {
        planted.tokens[t] for t in seen if t in planted.tokens
    }
    for place in unreached:
        tally.see(
            "hostile name", False, f"no hostile text of the place {place!r} reached a page: nothing is proven of it"
        )


_MARKS = """() => document.querySelectorAll("[data-pwned], [onerror], [onload], [onfocus], iframe, object, base").length
  + (window.pwnedCalls ?? []).length"""


def _counted(page: Any) -> int:
    from playwright.sync_api import Error

    for _ in range(20):
        try:
            page.wait_for_load_state("load")
            return int(page.evaluate(_MARKS))
        except Error:
            continue
    return int(page.evaluate(_MARKS))


def _in_chromium(planted: Planted, url: str, tally: Tally) -> str:
    """The hostile pages in a real browser, grid and large view opened by key; the reason where that cannot be."""
    from lora_assets_tests.tracker.browsing import ARGUMENTS, CHROMIUM

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return "playwright is not installed"
    if not CHROMIUM.exists():
        return f"{CHROMIUM} is not installed"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        context = browser.new_context(bypass_csp=False)
        context.add_init_script("window.pwnedCalls = []; window.pwned = (told) => window.pwnedCalls.push(told);")
        page = context.new_page()
        heard: list[str] = []

        def dismiss(dialog: Any) -> None:
            heard.append(f"dialog {dialog.message}")
            dialog.dismiss()

        page.on("dialog", dismiss)
        page.on("console", lambda message: heard.append(message.text) if "Content Security" in message.text else None)
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda asked: heard.append(asked.url) if not asked.url.startswith(url) else None)
        for target in _hostile_pages(planted):
            heard.clear()
            page.goto(url + target)
            page.wait_for_load_state("networkidle")
            count = page.evaluate(_MARKS)
            for key in ("j", "Enter", "ArrowRight", "Escape"):
                page.keyboard.press(key)
                # A key may open another page of ours, which takes what was asked of this one with it.
                count += _counted(page)
            held = count == 0 and not heard and page.url.startswith(url)
            tally.see("page in Chromium", held, f"{target}: {count} marks, {heard[:2]}, at {page.url}")
        browser.close()
    return ""


# --- planted faults --------------------------------------------------------------------------------------------------


def _beside_the_guard(app: ASGIApp, path: str) -> ASGIApp:
    """The guard, but one address is answered without it."""
    guarded = _never_limited(app)

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        await (app if scope.get("path") == path else guarded)(scope, receive, send)

    return routed


def _caught(pages: ASGIApp, data: Path, planted: Planted, routes: list[str], crop: str) -> dict[str, bool]:
    """Each part of the kit against a server that has the fault: was it seen?"""

    def sees(part: Callable[[Tally], object]) -> bool:
        tally = Tally()
        part(tally)
        return bool(tally.failures)

    unescaped = create_app(planted.data, password_hash=None)
    _site_of(unescaped).autoescape = False
    files = naive_files(data / "tables" / "frames" / TRACKER / "x")
    with (
        InProcess(_beside_the_guard(pages, "/compare")) as hole,
        InProcess(files) as naive,
        InProcess(pages) as open_pages,
        InProcess(unescaped) as raw,
    ):
        return {
            "one route beside the guard": sees(lambda tally: _credentials(hole, tally, ["/compare"], ("GET",))),
            "addresses joined to a folder": sees(lambda tally: _climbing(naive, tally, 3)),
            "no guard: foreign origins": sees(lambda tally: _foreign_origins(open_pages, tally, routes[:1], crop)),
            "no guard: foreign hosts": sees(lambda tally: _foreign_hosts(open_pages, tally, ["/"])),
            "templates that do not escape": sees(lambda tally: _hostile_names(planted, raw, tally)),
        }


def _site_of(app: Any) -> Any:
    """The template environment of an app: found through a route, since an app shows its site to nobody."""
    for route in app.routes:
        for cell in getattr(getattr(route, "endpoint", None), "__closure__", None) or ():
            if environment := getattr(cell.cell_contents, "_templates", None):
                return environment
    raise LookupError("no route of the pages has a site")


# --- the kit ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pages:
    data: Path
    app: Any
    routes: list[str]
    targets: list[str]
    changing: list[str]
    pictures: list[str]
    crop: str
    frame: str


def _make_lab(data: Path) -> None:
    """A tracker with a sweep of one mask and the layers of one frame, so that their routes have something to give."""
    make_cell(data, mask_lab={"presets": ["baseline", "fine"], "repeats": 1, "sample": 1}, layers={"frames": 1})
    make_sweep(data, LAB)
    make_layers(data, LAB)


def _pages(folder: Path) -> _Pages:
    data = make_data(folder / "data", frames_each=3, size=(160, 90))
    _make_lab(data)
    atomic_write_bytes(data / "private.txt", CANARY.encode())
    atomic_write_bytes(folder / "private.txt", CANARY.encode())
    app = create_app(data, password_hash=None)
    slug = dataset_slug(JAPANESE)
    crops, frames = (Store(data).cell_table(stage, slug, TRACKER) for stage in ("scored_crops", "frames"))
    assert crops is not None
    assert frames is not None
    crop = next(row["crop_id"] for row in crops.read().to_pylist() if row["has_picture"])
    frame = next(row["sha256"] for row in frames.read().to_pylist() if row["sha256"])
    with InProcess(app) as asker:
        version = next(part for part in asker.ask("GET", "/").body.decode().split('"') if "/static/" in part)
        lab = asker.ask("GET", f"/tracker/{LAB}/lab").body.decode()
    swept, layered = (next(part for part in lab.split('"') if part.endswith(end)) for end in ("close.jpg", "d.webp"))
    made, image, slug, close = swept.split("/")[-4:]
    values = {
        "tracker": TRACKER, "before": TRACKER, "after": TRACKER, "version": version.split("/")[2],
        "crop_id": crop, "frame": frame, "made": made, "image": image, "slug": slug,
    }  # fmt: skip
    routes = routes_of(app)
    targets = []
    for path in routes:
        own = {**values, "tracker": LAB} if "/lab" in path or "/layers/" in path else values
        own = {**own, "frame": layered.split("/")[-2]} if "/layers/" in path else own
        name = "background" if "/layers/" in path else close if "/lab/" in path else crop
        name = "page.css" if "static" in path else frame if "/frame" in path or "/whole/" in path else name
        targets.append(filled(path, {**own, "name": name}, _NAME))
    assert {swept, layered} <= set(targets), "the pictures of the lab are not among what is attacked"
    changing = [filled(path, values, _NAME) for path in _changing(app)]
    pictures = [
        target for target in targets if re.search(r"(thumb|cutout|mask|frame|whole)/\w+\.(png|jpg|webp)$", target)
    ]
    pictures += [swept, layered]
    return _Pages(data, app, routes, targets, changing, pictures, crop, frame)


def _changing(app: Any) -> list[str]:
    """The paths of the app with another method than GET and HEAD."""
    found = []

    def walk(routes: Any) -> None:
        for route in routes:
            if getattr(route, "methods", None) and set(route.methods) - {"GET", "HEAD"}:
                found.append(route.path)
            for name in ("routes", "original_router"):
                inner = getattr(route, name, None)
                walk(getattr(inner, "routes", inner) or [])

    walk(app.routes)
    return sorted(set(found))


def _open_parts(asker: Asker, pages: _Pages, tally: Tally, every: int) -> None:
    _climbing(asker, tally, every)
    before = _state(pages.data)
    _foreign_origins(asker, tally, pages.changing, pages.crop)
    tally.see("CSRF", _state(pages.data) == before, "a file of the data folder changed")
    _foreign_hosts(asker, tally, pages.targets[:: 7 * every])
    _embedding(asker, tally, pages.pictures)


@contextmanager
def _served(data: Path) -> Iterator[int]:
    with nursery() as nest:
        port = free_port()
        nest.start("real", data, port)
        until_listening(port)
        yield port


def _over_sockets(folder: Path, pages: _Pages, planted: Planted, tally: Tally) -> list[str]:
    """The same against real servers: open pages first, then the same folder with a password."""
    notes = []
    with _served(pages.data) as port:
        asker = OverSocket(port, {"Host": "127.0.0.1:8088"})
        _open_parts(asker, pages, tally, 1)
        _broken_changes(OverSocket(port, {"Host": "127.0.0.1:8088"}), tally, pages)
        _broken_input(OverSocket(port), tally, pages.crop)
    with _served(planted.data) as port:
        if reason := _in_chromium(planted, f"http://127.0.0.1:{port}", tally):
            notes.append(f"hostile names were read as HTML only: {reason}")
    locked = shutil.copytree(pages.data, folder / "locked")
    set_password(locked, PASSWORD, _CHEAP)
    with _served(locked) as port:
        # Only what is no guess: wrong passwords from one address are soon answered 429, as they should be.
        silent = OverSocket(port)
        for target in [*pages.targets, *random_targets(200)]:
            for method in METHODS:
                answer = silent.ask(method, target)
                held = answer.status in (401, 0) or (answer.status == 400 and b"Invalid HTTP" in answer.body)
                tally.see("credentials", held and not _leaks(answer), f"{method} {target}: {answer.status}")
        opened = OverSocket(port, {"Authorization": basic(PASSWORD)})
        tally.see("credentials", opened.ask("GET", "/").status == 200, "the right password does not open")
    return notes


def run(level: Level) -> Figures:
    """All parts in this process; at the full level over sockets and in a browser as well."""
    began, tally, notes = time.monotonic(), Tally(), []
    every = 12 if level == "quick" else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pages, planted = _pages(folder), plant(folder / "hostile", 2 if level == "quick" else 20)
        targets = [*pages.targets, *random_targets(20 if level == "quick" else 200)]
        with InProcess(_never_limited(pages.app)) as locked:
            _credentials(locked, tally, targets, METHODS, 17 if level == "quick" else 1)
            _sockets(locked, tally, pages.targets if level == "full" else pages.targets[::4])
        _guesses(tally, 60 if level == "quick" else 1000)
        with InProcess(pages.app) as asker:
            _open_parts(asker, pages, tally, every)
            _looking(asker, tally, pages.targets if level == "full" else pages.targets[::3], pages.data)
            _broken_changes(asker, tally, pages)
            _broken_input(asker, tally, pages.crop)
        with InProcess(create_app(planted.data, password_hash=None)) as hostile:
            _hostile_names(planted, hostile, tally)
        caught = _caught(_without_guard(pages.data), pages.data, planted, pages.changing, pages.crop)
        if level == "full":
            notes += _over_sockets(folder, pages, planted, tally)
    notes.insert(
        0, f"{len(pages.routes)} routes; " + ", ".join(f"{kind} {count}" for kind, count in tally.tried.items())
    )
    unseen = [fault for fault, was_seen in caught.items() if not was_seen]
    return Figures(
        "G11",
        f"every route of the pages x {len(METHODS)} methods x {len(CREDENTIALS)} kinds of credentials, random "
        "addresses, websockets, guesses; addresses that climb, hostile names, foreign origins and hosts, broken input, "
        "bodies that do not fit each changing route",
        sum(tally.tried.values()),
        len(tally.failures),
        not unseen,
        time.monotonic() - began,
        ", ".join(caught),
        (*notes, *(f"NOT caught: {fault}" for fault in unseen)),
        failures=tuple(tally.failures[:30]),
    )


def _without_guard(data: Path) -> ASGIApp:
    """The routes of the pages alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lora_assets.tracker.app.Guard", lambda app, **_: app)
        app = create_app(data, password_hash=None)
        app.middleware_stack = app.build_middleware_stack()
    return app
