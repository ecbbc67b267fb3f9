"""The lists of hostile requests: addresses that climb out of a folder, foreign hosts, foreign origins, broken input.

Pure data, made by combination, so that a kit can say how many there were. Who is asked with them, and what counts as a
success of the attack, is in the kits.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from lora_assets_tests.reliability.web_asking import PASSWORD, Headers, basic

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND")
CANARY = "canary-of-a-private-file"
_TARGETS = ("password.toml", "private.txt", "verdicts/verdicts.sqlite", "etc/passwd", "trackers/LIVE.toml")
_UP = (
    "../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "%2e%2e%5c", "..\\", "..%252f", "%252e%252e%252f", "..%c0%af",
    "..;/", "....//", ".%2e/", "%2e./", "..%00/", "..%u2215",
)  # fmt: skip

HOSTS = (
    "evil.example", "evil.example:8088", "127.0.0.1.evil.example", "127.0.0.1.nip.example", "localhost.evil.example",
    "localhost.", "127.0.0.1.", "localhost:80:80", "localhost:port", "[::1", "[::1]x", "[::ffff:8.8.8.8", "0x7f000001",
    "2130706433", "017700000001", "127.1", "0", "0.0.0.0", "192.168.1.5", "10.0.0.1:8088", "[fe80::1]", "a@localhost",
    "localhost@evil.example", "evil.example#localhost", "evil.example/localhost", "localhost,evil.example",
    "localhost evil.example", "localhost\tx", "LOCALHOST.EVIL.EXAMPLE", "xn--lcalhost-r0a", "ｌocalhost", "*", "null",
    "-", "127.0.0.1%00.evil.example", "localhost%2eevil.example",
)  # fmt: skip

_JSON = ("Content-Type", "application/json")
_SCRIPT = ("X-Lora-Assets", "1")
FOREIGN: tuple[Headers, ...] = (
    (),
    (("Origin", "https://evil.example"), _SCRIPT, _JSON),
    (("Origin", "null"), _SCRIPT, _JSON),
    (("Origin", ""), ("Sec-Fetch-Site", "cross-site"), _SCRIPT),
    (("Origin", "http://127.0.0.1:9999"), ("Sec-Fetch-Site", "same-site"), _SCRIPT),
    (("Origin", "http://localhost:8088"), _SCRIPT, _JSON),
    (("Origin", "https://127.0.0.1:8088.evil.example"), _SCRIPT),
    (("Origin", "http://127.0.0.1:8088@evil.example"), _SCRIPT),
    (("Origin", "file://127.0.0.1:8088"), _SCRIPT),
    (("Sec-Fetch-Site", "none"), _SCRIPT, _JSON),
    (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), _SCRIPT),
    (("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example"), _SCRIPT),
    (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site"), _SCRIPT),
    (("Origin", "http://127.0.0.1:8088"), ("Origin", "https://evil.example"), _SCRIPT),
    # A form and a beacon of the right origin that is not one of the pages' own scripts.
    (("Sec-Fetch-Site", "same-origin"), ("Content-Type", "application/x-www-form-urlencoded")),
    (("Origin", "http://127.0.0.1:8088"), ("Content-Type", "text/plain")),
    (("Sec-Fetch-Site", "same-origin"), ("Content-Type", "multipart/form-data; boundary=x")),
    (("X-HTTP-Method-Override", "GET"), _SCRIPT),
    (("Referer", "http://127.0.0.1:8088/"), _SCRIPT, _JSON),
    (("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "x-lora-assets"),
     ("Origin", "https://evil.example")),
)  # fmt: skip
"""What another site, a form or a program of the person's own browser can send with a changing request."""

CREDENTIALS: tuple[tuple[str, Headers], ...] = (
    ("none", ()),
    ("wrong", (("Authorization", basic("wrong password")),)),
    ("nearly right", (("Authorization", basic(PASSWORD[:-1])),)),
    ("right with a space", (("Authorization", basic(PASSWORD + " ")),)),
    ("empty", (("Authorization", basic("", "")),)),
    ("only the scheme", (("Authorization", "Basic"),)),
    ("no base64", (("Authorization", "Basic ???"),)),
    ("no colon", (("Authorization", "Basic " + basic("")[6:10]),)),
    ("password as the user", (("Authorization", basic("", PASSWORD)),)),
    ("Bearer", (("Authorization", f"Bearer {PASSWORD}"),)),
    ("Digest", (("Authorization", f'Digest username="me", response="{PASSWORD}"'),)),
    ("right, but twice", (("Authorization", basic(PASSWORD)), ("Authorization", basic("x")))),
    ("of a proxy", (("Proxy-Authorization", basic(PASSWORD)),)),
    ("as a cookie", (("Cookie", f"password={PASSWORD}; session=1; admin=true"),)),
    ("said to be local", (("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1"))),
)
"""What somebody without the password may say. The password itself is right in some, but not as Basic credentials."""


def traversals() -> Iterator[str]:
    """Parts of an address that climb out of a folder: 5 files x 16 spellings x 4 depths, and whole addresses."""
    for target, up, depth in itertools.product(_TARGETS, _UP, (1, 2, 4, 8)):
        yield up * depth + target
    for target in _TARGETS:
        yield from (f"/{target}", f"//{target}", f"%2f{target}", f"%00{target}", f"C:%5c{target}", f"file:///{target}")
        yield from (f"{target}%00.webp", f"~root/{target}", f"./{target}", f".{target}", f"{target}%0a")


def climbing_targets(places: Sequence[str]) -> Iterator[str]:
    """Every traversal at every place; `{}` in a place stands for it."""
    for place, part in itertools.product(places, traversals()):
        yield place.replace("{}", part)


def random_targets(count: int, seed: int = 11) -> list[str]:
    """Addresses that nobody has a route for, and some that frameworks often have without being asked."""
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-_.~/%2e"
    known = [
        "/docs", "/redoc", "/openapi.json", "/metrics", "/favicon.ico", "/robots.txt", "/.git/config", "/.env",
        "/health", "/admin", "/debug", "/server_info", "/graphql", "/static", "/static/", "/api", "/api/", "/console",
        "/server-status", "*", "http://127.0.0.1:8088/", "//evil.example/", "/?lang=ja", "/%00", "/%0d%0a",
    ]  # fmt: skip
    made = ["/" + "".join(chance.choice(letters) for _ in range(chance.randint(1, 40))) for _ in range(count)]
    return known + made


def filled(path: str, values: dict[str, str], rest: str) -> str:
    """A route's path with its parameters filled in by name, all others with `rest`."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: values.get(found[1], rest), path)


BODIES: tuple[bytes, ...] = (
    b"", b"[]", b"null", b"7", b'"text"', b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000,
    b'{"x": 1e999}', b"{}", b'{"request_id": null, "marks": 7}',
)  # fmt: skip
"""Bodies that fit no route."""


def unfit_changes(tracker: str, frame: str) -> list[tuple[str, bytes]]:
    """Changing requests that are JSON but say what cannot be: halves of signs, huge numbers, wrong types, bad names."""
    segment = f"/api/tracker/{tracker}/segment/{frame}"
    mask: dict[str, Any] = {"request_id": "broken-0001", "window": [0, 0, 2, 2], "runs": [0, 4], "category": "c"}
    accepted: list[dict[str, Any]] = [
        {**mask, "window": [0, 0, 10**30, 2]}, {**mask, "window": [-1, 0, 2, 2]}, {**mask, "window": [0, 0, 0, 0]},
        {**mask, "window": "ab"}, {**mask, "runs": [2**70, -1]}, {**mask, "runs": [2**70]}, {**mask, "runs": [True, 4]},
        {**mask, "runs": [0.5, 3.5]}, {**mask, "runs": [4]}, {**mask, "runs": [0] * 500_000}, {**mask, "category": 7},
        {**mask, "category": "\ud800"}, {**mask, "category": "c" * 10_000}, {**mask, "request_id": "\ud800" * 9},
        {**mask, "request_id": "../../x"},
    ]  # fmt: skip
    corrected = [{**mask, "detection": named} for named in ("nobody", ["x"], {"a": 1}, 7)]
    annotated = [{**mask, "set": named} for named in ("../x", "", "a/b", 7, "\ud800", "s" * 1000)]
    prompts = [
        {"points": "ab", "labels": "ab"}, {"points": [[1e308, 1]], "labels": [1]}, {"points": [[1, 1]], "labels": [2]},
        {"points": [[1, 1]], "labels": [1], "after": "x"}, {"points": [[1, 1]] * 10_000, "labels": [1] * 10_000},
        {"box": [1, 2, 3]}, {"points": [["1", None]], "labels": [1]},
    ]  # fmt: skip
    presets = [
        {"preset": "\ud800"}, {"preset": None}, {"preset": "a" * 3000}, {"preset": "standard:close=1e999"},
        {"preset": "x:y=1"}, {"preset": "standard", "as": "../x"}, {"preset": "standard", "as": "\ud800"},
        {"preset": "standard", "as": "CON"}, {"preset": "standard", "more": 1},
    ]  # fmt: skip
    withdrawn = [{"id": "\ud800"}, {"id": "nobody"}, {"id": ["a"]}, {"note": 1}]
    cases = (
        (f"{segment}/correction", accepted + corrected),
        (f"{segment}/annotation", accepted + annotated),
        (f"{segment}/ask", prompts),
        (f"/api/tracker/{tracker}/preset", presets),
        (f"/api/tracker/{tracker}/corrections/withdraw", withdrawn),
    )
    return [(path, json.dumps(told).encode()) for path, each in cases for told in each]
