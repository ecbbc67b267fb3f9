"""Bodies of requests: read no further than they may be long, and refused with a reason when they do not fit."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from lora_assets.tracker.request_bodies import json_object, read_body, request_id


def _request(parts: list[bytes], taken: list[bytes]) -> Request:
    """A request whose body comes in parts; `taken` tells which of them were asked for."""
    waiting = iter(parts)

    async def receive() -> dict[str, Any]:
        part = next(waiting, b"")
        taken.append(part)
        return {"type": "http.request", "body": part, "more_body": len(taken) < len(parts)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8), st.integers(0, 120))
def test_a_body_is_read_whole_or_no_further_than_it_may_be(parts: list[bytes], most: int):
    taken: list[bytes] = []
    whole = b"".join(parts)
    if len(whole) <= most:
        assert asyncio.run(read_body(_request(parts, taken), most, "send less")) == whole
        return
    with pytest.raises(HTTPException, match="send less") as refused:
        asyncio.run(read_body(_request(parts, taken), most, "send less"))
    assert refused.value.status_code == 413
    assert len(b"".join(taken[:-1])) <= most


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "not JSON"), (b"{", "not JSON"), (b"\xff", "not JSON"), (b"[" * 100_000, "not JSON"),
     (b"9" * 10_000, "not JSON"), (b"[]", "send an example"), (b'"x"', "send an example"),
     (b"null", "send an example")],
)  # fmt: skip
def test_what_is_no_object_is_refused(body: bytes, reason: str):
    with pytest.raises(HTTPException, match=reason) as refused:
        json_object(body, "an example")
    assert refused.value.status_code == 422


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_an_object_is_what_was_sent(told: dict[str, Any]):
    assert json_object(json.dumps(told).encode(), "") == told


@pytest.mark.parametrize(
    "value", [None, 12345678, "short", "x" * 65, "../../etc", "with blank", "line\nafter", [], "x" * 10**6]
)
def test_ids_that_do_not_fit_are_refused_in_few_words(value: Any):
    with pytest.raises(HTTPException, match="8 to 64 of") as refused:
        request_id({"request_id": value})
    assert refused.value.status_code == 422 and len(refused.value.detail) < 200
    assert request_id({"request_id": "a-fit_1.x"}) == "a-fit_1.x"
