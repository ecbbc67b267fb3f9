"""One picture to an OpenAI-compatible chat service and one line back, with retries, a budget and a way to give up.

The protocol is POST {url}/chat/completions with the picture as a data URL, as vLLM, Ollama and others serve it. Nothing
is sent anywhere but to the named address: redirects are not followed. What belongs elsewhere: which objects are asked
about and what is kept (captioning).
"""

from __future__ import annotations

import base64
import io
import json
import random
import re
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

import httpx
from PIL import Image

from lora_assets.mining.settings import CaptionService, MiningSettings
from lora_assets.vision.images import RgbImage

_RETRIED = (408, 409, 425, 429, 500, 502, 503, 504, 529)
_STOPPED_BY = {
    401: "it wants another key", 403: "it forbids the request", 404: "it does not know the address or the model",
}  # fmt: skip
_MOST_WAIT_S = 60.0
_MOST_BYTES = 1 << 20
_MOST_TEXT = 400
_GIVE_UP_AFTER = 5
_THINKING = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)


class NoCaption(RuntimeError):
    """The service gave no caption of this picture; the text says why."""


class _Failed(Exception):
    """One request failed. `after` is how long the service asks to wait, `again` whether another try makes sense."""

    def __init__(self, reason: str, *, again: bool, after: float | None = None, stop: bool = False) -> None:
        super().__init__(reason)
        self.again, self.after, self.stop = again, after, stop


class CaptionClient:
    """Asks one service, from several threads at once, and counts every request.

    After five pictures in a row without an answer, or when the service refuses the key, the address or the model, it
    asks no more (`stopped` says why).
    """

    def __init__(
        self, service: CaptionService, settings: MiningSettings, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._service, self._settings, self._sleep = service, settings, sleep
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self.calls = 0
        self.stopped = ""
        headers = {"Authorization": f"Bearer {service.key}"} if service.key else {}
        self._http = httpx.Client(
            timeout=httpx.Timeout(settings.caption_timeout_s, connect=min(10.0, settings.caption_timeout_s)),
            headers={"Accept": "application/json", **headers},
            follow_redirects=False,
            # A proxy of the environment is no way to one's own machine.
            trust_env=not service.is_on_this_machine,
        )

    def __enter__(self) -> CaptionClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, picture: RgbImage) -> tuple[str, str]:
        """The caption in one line, and the model as the service names it. Raises NoCaption."""
        body = self._body(picture)
        attempt = 0
        while True:
            self._take()
            try:
                answer = self._request(body)
            except _Failed as failed:
                attempt += 1
                if failed.stop:
                    self._stop(str(failed))
                if not failed.again or attempt >= self._settings.caption_attempts:
                    self._note_failure(str(failed))
                    tried = f" (tried {attempt} times)" if attempt > 1 else ""
                    raise NoCaption(f"{failed}{tried}") from failed
                self._sleep(self._wait(attempt, failed.after))
                continue
            with self._lock:
                self._failed_in_a_row = 0
            return answer

    def _take(self) -> None:
        with self._lock:
            if self.stopped:
                raise NoCaption(f"not asked: {self.stopped}")
            if self.calls >= self._settings.caption_calls:
                raise NoCaption(f"not asked: the budget of {self._settings.caption_calls} requests a run is spent")
            self.calls += 1

    def _stop(self, reason: str) -> None:
        with self._lock:
            self.stopped = self.stopped or reason

    def _note_failure(self, reason: str) -> None:
        with self._lock:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= _GIVE_UP_AFTER:
                self.stopped = self.stopped or f"{self._failed_in_a_row} pictures in a row had no answer ({reason})"

    def _wait(self, attempt: int, after: float | None) -> float:
        """Seconds before the next try: what the service asks for, else doubling, with jitter; a minute at most."""
        doubled = self._settings.caption_backoff_s * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0)
        return min(_MOST_WAIT_S, doubled if after is None else max(after, 0.0))

    def _body(self, picture: RgbImage) -> bytes:
        buffer = io.BytesIO()
        shown = Image.fromarray(picture)
        shown.thumbnail((self._settings.caption_side, self._settings.caption_side))
        shown.save(buffer, "JPEG", quality=90)
        url = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": self._settings.caption_prompt},
        ]
        told = {
            "model": self._service.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self._settings.caption_max_tokens,
            "temperature": 0,
        }
        return json.dumps(told).encode()

    def _request(self, body: bytes) -> tuple[str, str]:
        deadline = time.monotonic() + self._settings.caption_timeout_s
        try:
            with self._http.stream(
                "POST",
                f"{self._service.url}/chat/completions",
                content=body,
                headers={"Content-Type": "application/json"},
            ) as response:
                held = bytearray()
                for part in response.iter_bytes():
                    held += part
                    if time.monotonic() > deadline:
                        raise _Failed(self._too_slow(), again=True)
                    if len(held) > _MOST_BYTES:
                        raise _Failed(f"the service answers with more than {_MOST_BYTES} bytes", again=False)
                return self._read(response, bytes(held))
        except httpx.TimeoutException as error:
            raise _Failed(self._too_slow(), again=True) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Failed(
                f"the service {self._service.url} cannot be reached ({type(error).__name__}: {error})", again=True
            ) from error

    def _too_slow(self) -> str:
        return f"no answer within {self._settings.caption_timeout_s:g} s"

    def _read(self, response: httpx.Response, held: bytes) -> tuple[str, str]:
        status = response.status_code
        if status != 200:
            told = _error_words(held)
            reason = f"the service answers {status}{f': {told}' if told else ''}"
            if status in _STOPPED_BY:
                raise _Failed(f"{reason} ({_STOPPED_BY[status]})", again=False, stop=True)
            after = _retry_after(response.headers.get("retry-after", "")) if status in _RETRIED else None
            raise _Failed(reason, again=status in _RETRIED, after=after)
        try:
            told = json.loads(held)
            text = _content(told["choices"][0]["message"])
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            start = held[:60].decode("utf-8", "replace").strip()
            raise _Failed(f"the answer is no chat completion: {start!r}", again=False) from error
        caption = " ".join(_THINKING.sub(" ", _readable(text)).split()).strip("\"' ")[:_MOST_TEXT].strip()
        if not caption:
            raise _Failed("the answer holds no words", again=False)
        model = told.get("model") if isinstance(told, dict) else None
        return caption, _readable(model)[:200] if isinstance(model, str) and model else self._service.model


def _readable(text: str) -> str:
    """The text without half characters, which no file can hold."""
    return text.encode("utf-8", "ignore").decode()


def _content(message: dict[str, Any]) -> str:
    """The text of a message: a string, or parts of which some are text. Raises KeyError or TypeError for others."""
    content = message["content"]
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    return " ".join(part["text"] for part in content if part.get("type") == "text")


def _error_words(held: bytes) -> str:
    """What the body of an error says, in one short line; empty for HTML and other things."""
    try:
        told = json.loads(held)
        error = told.get("error", told.get("detail", told.get("message", "")))
        words = error.get("message", "") if isinstance(error, dict) else error
        return " ".join(_readable(words).split())[:200] if isinstance(words, str) else ""
    except (ValueError, AttributeError, RecursionError):
        return ""


def _retry_after(text: str) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date (RFC 9110, section 10.2.3); None for neither."""
    try:
        return min(_MOST_WAIT_S, max(0.0, float(text)))
    except ValueError:
        pass
    try:
        return min(_MOST_WAIT_S, max(0.0, parsedate_to_datetime(text).timestamp() - time.time()))
    except (ValueError, TypeError):
        return None
