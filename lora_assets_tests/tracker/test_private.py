"""Attacks on the whole app: no route, no method and no address gives anything away, and none changes anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_assets.tracker.app import create_app
from lora_assets.tracker.headers import HEADERS
from lora_assets.verdicts.log import log_path
from lora_assets_tests.tracker.conftest import Client
from lora_assets_tests.tracker.drawn_data import TRACKER
from lora_assets_tests.tracker.test_guard import basic

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
REBOUND = (
    "evil.example",
    "evil.example:8088",
    "127.0.0.1.nip.example",
    "localhost.evil.example",
    "0x7f000001",
    "[::ffff:8.8.8.8",
)
TRAVERSALS = (
    "%2e%2e",
    "..%2f..%2fpassword.toml",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%00",
    "a%5c..%5cb",
    "con:",
    "~root",
    "'; DROP TABLE verdict;--",
)


def routes_of(app: FastAPI) -> list[str]:
    """Every path that the app has a route for."""
    found: list[str] = []

    def walk(routes: Any) -> None:
        for route in routes:
            if path := getattr(route, "path", ""):
                found.append(path)
            for name in ("routes", "original_router"):
                inner = getattr(route, name, None)
                walk(getattr(inner, "routes", inner) or [])

    walk(app.routes)
    return sorted(set(found))


def filled(path: str, value: str) -> str:
    return re.sub(r"\{tracker[^}]*\}", TRACKER, re.sub(r"\{(?!tracker)[^}]*\}", value, path))


@pytest.fixture(scope="module")
def locked(drawn: Path) -> Client:
    return Client(create_app(drawn, password_hash=CHEAP.hash(PASSWORD)))


@pytest.fixture(scope="module")
def paths(drawn: Path) -> list[str]:
    found = routes_of(create_app(drawn, password_hash=None))
    assert len(found) > 12
    assert any("verdicts" in path for path in found)
    return found


def test_without_the_password_no_route_and_no_method_says_anything(locked: Client, paths: list[str]):
    for path in [*paths, "/nothing/here", "/docs", "/openapi.json", "/favicon.ico", "/robots.txt", "/.git/config"]:
        for method in METHODS:
            answer = locked.ask(method, filled(path, "0" * 32))
            assert (answer.status_code, answer.content) == (401, b""), (method, path)
            assert answer.headers["cache-control"] == "private, no-store"
            assert "etag" not in answer.headers
    for path in paths[:8]:
        answer = locked.get(filled(path, "0" * 32), Authorization=basic("wrong"))
        assert (answer.status_code, answer.content) == (401, b""), path


def test_every_answer_has_the_headers_that_keep_it_private(client: Client, paths: list[str]):
    for path in paths:
        answer = client.get(filled(path, "0" * 32))
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, name)
        assert answer.headers["cache-control"].startswith("private"), path
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_the_policy_lets_in_nothing_that_is_not_named():
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert not re.search(r"unsafe|\*|data:|blob:|https?:", HEADERS["Content-Security-Policy"])


@pytest.mark.parametrize("host", REBOUND)
def test_a_rebound_name_gets_nothing_from_any_route(client: Client, paths: list[str], host: str):
    for path in paths:
        answer = client.get(filled(path, "0" * 32), Host=host, Origin=f"http://{host}")
        assert answer.status_code == 421, path


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "X-Lora-Assets": "1", "Content-Type": "application/json"},
        {"Origin": "null", "X-Lora-Assets": "1"},
        {"Sec-Fetch-Site": "cross-site", "X-Lora-Assets": "1"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9999", "X-Lora-Assets": "1"},
        {"Origin": "http://127.0.0.1:8088", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"},
        {"X-Lora-Assets": "1", "X-HTTP-Method-Override": "GET"},
        {},
    ],
)
def test_no_other_site_changes_anything(client: Client, drawn: Path, paths: list[str], headers: dict[str, str]):
    for path in paths:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert client.ask(method, filled(path, "0" * 32), headers).status_code == 403, (method, path)
    assert not log_path(drawn).exists()


def test_a_look_changes_nothing(client: Client, drawn: Path, paths: list[str]):
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*") if path.is_file()}
    for path in paths:
        client.get(filled(path, "0" * 32) + "?_method=POST&value=good", X_HTTP_Method_Override="POST")
        client.ask("HEAD", filled(path, "0" * 32))
    assert {path: path.stat().st_mtime_ns for path in drawn.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("value", TRAVERSALS)
def test_no_name_in_an_address_becomes_a_path(client: Client, paths: list[str], value: str):
    for path in paths:
        urls = {re.sub(r"\{[^}]*\}", value, path), filled(path, value)} - {path, filled(path, "")}
        for url in urls:
            answer = client.get(url)
            assert answer.status_code in (400, 404, 405, 422), url
            assert b"argon2" not in answer.content
            assert b"root:" not in answer.content


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    name=st.text(min_size=1, max_size=40), kind=st.sampled_from(["thumb", "cutout", "mask", "before", "frame", "whole"])
)
def test_any_name_of_a_picture_is_404(client: Client, name: str, kind: str):
    from urllib.parse import quote

    suffix = {"thumb": ".webp", "frame": ".jpg", "whole": ".jpg"}.get(kind, ".png")
    answer = client.get(f"/tracker/{TRACKER}/{kind}/{quote(name.encode('utf-8', 'surrogatepass'), safe='')}{suffix}")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "query", ["?in=" + "x" * 9000, "?tier=%00&flag=%ff", "?page=-1&show=../../", "?sort='%20OR%201=1"]
)
def test_strange_queries_are_answered(client: Client, query: str):
    assert client.get(f"/tracker/{TRACKER}{query}").status_code == 200
