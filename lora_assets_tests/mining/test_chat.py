"""The caption client against a local service, and against all the ways in which one fails."""

from __future__ import annotations

import socket
from email.utils import formatdate

import numpy as np
import pytest

from lora_assets.mining.chat import CaptionClient, NoCaption
from lora_assets.mining.settings import CaptionService, MiningSettings, caption_service
from lora_assets_tests.mining.chat_server import ChatService, chatting, completion, failure

PICTURE = np.full((40, 60, 3), 90, np.uint8)


def _ask(chat: ChatService, count: int = 1, key: str = "", **settings):
    """What asking `count` times gives (a caption, or the reason), the waits, and the client."""
    waits: list[float] = []
    settings = {"caption_backoff_s": 1.0, "caption_timeout_s": 20.0, **settings}
    service = CaptionService(chat.url, "qwen", key)
    answers = []
    with CaptionClient(service, MiningSettings(**settings), sleep=waits.append) as client:
        for _ in range(count):
            try:
                answers.append(client.ask(PICTURE)[0])
            except NoCaption as reason:
                answers.append(str(reason))
        return answers, waits, client


def test_a_picture_goes_out_and_a_line_comes_back():
    with chatting(ChatService()) as chat:
        answers, waits, client = _ask(chat, key="secret", caption_side=32)
        assert answers == ["a yellow excavator"]
        assert waits == []
        assert client.calls == 1
        (asked,) = chat.asked
        assert asked["path"] == "/v1/chat/completions"
        assert asked["model"] == "qwen"
        assert chat.keys == ["Bearer secret"]
        assert chat.picture().size == (32, 21)


@pytest.mark.parametrize(
    ("content", "caption"),
    [
        ('  "A red\n\n bus."  ', "A red bus."),
        ("<think>it may be\na bus</think>\nA bus", "A bus"),
        ([{"type": "text", "text": "a bus"}, {"type": "refusal", "refusal": "x"}], "a bus"),
        ("重機です", "重機です"),
        ("half \ud800 a character", "half a character"),
        ("word " * 500, ("word " * 80).strip()),
    ],
)
def test_an_answer_becomes_one_line(content, caption):
    with chatting(ChatService(script=[completion(content)])) as chat:
        assert _ask(chat)[0] == [caption]


def test_a_busy_service_is_asked_again_when_it_says():
    soon = formatdate(0, usegmt=True)
    script = [
        failure(429, Retry_After="7"), failure(503, Retry_After=soon), failure(429, Retry_After="99999"),
        completion("a bus"),
    ]  # fmt: skip
    with chatting(ChatService(script=script)) as chat:
        answers, waits, client = _ask(chat)
        assert answers == ["a bus"]
        assert waits == [7.0, 0.0, 60.0]
        assert client.calls == 4


def test_waits_double_and_the_reason_is_told_in_the_end():
    with chatting(ChatService(always=lambda _: failure(500, "out of memory"))) as chat:
        (reason,), waits, client = _ask(chat, caption_attempts=4)
        assert reason == "the service answers 500: out of memory (tried 4 times)"
        assert client.calls == 4
        assert all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(waits))
        assert len(waits) == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, {"Content-Type": "text/html"}, b"<html>log in</html>"), "no chat completion: '<html>log in</html>'"),
        ((200, {}, b'{"choices": []}'), "no chat completion"),
        ((200, {}, b"[1, 2]"), "no chat completion"),
        ((200, {}, b'{"choices": [{"message": {"content": 7}}]}'), "no chat completion"),
        ((200, {}, b"\xff\xfe"), "no chat completion"),
        ((200, {}, b"[" * 200_000), "no chat completion"),
        ((200, {}, b"x" * (3 << 20)), "more than 1048576 bytes"),
        (completion(""), "holds no words"),
        (completion(None), "holds no words"),
        (failure(400, "the picture is refused"), "answers 400: the picture is refused"),
        ((413, {}, b"<html>too large</html>"), "answers 413"),
        ((302, {"Location": "http://127.0.0.1:9/elsewhere"}, b""), "answers 302"),
    ],
)
def test_what_another_try_would_not_mend_is_asked_once(answer, reason):
    with chatting(ChatService(script=[answer])) as chat:
        (told,), waits, client = _ask(chat)
        assert reason in told
        assert waits == []
        assert client.calls == 1
        assert client.stopped == ""


def test_a_service_that_hangs_costs_its_time_limit_and_no_more():
    with chatting(ChatService(script=[None, None])) as chat:
        answers, waits, client = _ask(chat, caption_attempts=2, caption_timeout_s=0.2)
        assert answers == ["no answer within 0.2 s (tried 2 times)"]
        assert len(waits) == 1
        assert client.calls == 2


def test_an_answer_that_drips_is_cut_off_too():
    endless = (200, {"Content-Length": "9999999", "Dripping": "yes"}, b"")
    with chatting(ChatService(script=[endless])) as chat:
        answers, _, _ = _ask(chat, caption_attempts=1, caption_timeout_s=0.3)
    assert answers == ["no answer within 0.3 s"]


def test_a_refused_connection_is_told_with_the_address():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        answers, _, client = _ask(ChatService(url=url), count=7, caption_attempts=2)
    assert all("cannot be reached" in reason and url in reason for reason in answers[:5])
    assert answers[5].startswith("not asked: 5 pictures in a row had no answer")
    assert client.calls == 10


def test_an_address_that_is_none_is_told():
    (reason,), _, _ = _ask(ChatService(url="http://no such host/v1"), caption_attempts=1)
    assert "cannot be reached" in reason


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_or_model_ends_the_asking(status):
    with chatting(ChatService(always=lambda _: failure(status, "no"))) as chat:
        answers, _, client = _ask(chat, count=3)
        assert f"answers {status}: no" in answers[0]
        assert all(reason.startswith("not asked: ") for reason in answers[1:])
        assert client.calls == len(chat.asked) == 1


def test_the_budget_counts_retries():
    script = [failure(500), completion("a bus"), completion("a van")]
    with chatting(ChatService(script=script)) as chat:
        answers, _, client = _ask(chat, count=3, caption_calls=3)
        assert answers == ["a bus", "a van", "not asked: the budget of 3 requests a run is spent"]
        assert client.calls == len(chat.asked) == 3


def test_one_answer_makes_the_failures_before_it_forgotten():
    script = [failure(400)] * 4 + [completion("a bus")] + [failure(400)] * 4
    with chatting(ChatService(script=script)) as chat:
        answers, _, client = _ask(chat, count=9)
        assert answers[4] == "a bus"
        assert client.stopped == ""


ENVIRONMENT = {"LORA_ASSETS_CAPTION_URL": "http://x:1/v1", "LORA_ASSETS_CAPTION_MODEL": "m"}


@pytest.mark.parametrize(
    ("settings", "environ", "told"),
    [
        ({}, ENVIRONMENT, "no caption service is named"),
        ({"caption_service": "environment"}, {}, "LORA_ASSETS_CAPTION_URL is not set"),
        ({"caption_service": "environment"}, {"LORA_ASSETS_CAPTION_URL": "file:///etc"}, "must be an address"),
        ({"caption_service": "http://x:1/v1"}, {}, "no caption model"),
        ({"caption_service": "environment"}, {**ENVIRONMENT, "LORA_ASSETS_CAPTION_KEY": "鍵"}, "no key has"),
        ({"caption_service": "http://x:1/v1", "skip_caption": True}, ENVIRONMENT, "skip_caption"),
    ],
)
def test_without_a_named_service_there_is_none(settings, environ, told):
    assert told in caption_service(MiningSettings(**settings), environ)


def test_the_service_of_settings_and_environment_and_its_key_stays_hidden():
    environ = {**ENVIRONMENT, "LORA_ASSETS_CAPTION_KEY": "secret"}
    found = caption_service(MiningSettings(caption_service="environment"), environ)
    assert isinstance(found, CaptionService)
    assert (found.url, found.model, found.key) == ("http://x:1/v1", "m", "secret")
    assert "secret" not in repr(found)
    named = MiningSettings(caption_service="https://h/v1/chat/completions/", caption_model="other")
    found = caption_service(named, environ)
    assert isinstance(found, CaptionService)
    assert (found.url, found.model) == ("https://h/v1", "other")
    assert not found.is_on_this_machine
