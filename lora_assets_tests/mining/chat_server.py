"""An OpenAI-compatible chat service on 127.0.0.1 that fails as asked. It tests nothing itself."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

Answer = tuple[int, dict[str, str], bytes]


def completion(text: Any, model: str = "served-model") -> Answer:
    """A proper answer with this message."""
    told = {"model": model, "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()


def failure(status: int, words: str = "busy", **headers: str) -> Answer:
    """An error as services tell it."""
    told = json.dumps({"error": {"message": words}}).encode()
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, told


@dataclass
class ChatService:
    """`script` holds the next answers; when it is empty, `always` gives them. An answer of None hangs until the end.
    With `meeting`, requests are answered in groups that wait until they are complete."""

    always: Callable[[dict[str, Any]], Answer | None] = lambda _: completion("a yellow excavator")
    script: list[Answer | None] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    meeting: threading.Barrier | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def picture(self, number: int = 0) -> Image.Image:
        """The picture of a request."""
        url = self.asked[number]["messages"][0]["content"][0]["image_url"]["url"]
        return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))))


@contextmanager
def chatting(service: ChatService) -> Iterator[ChatService]:
    """Serve while the body runs; `service.url` is the base address."""
    lock = threading.Lock()
    now = 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal now
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                now += 1
                service.most_at_once = max(service.most_at_once, now)
                service.asked.append({"path": self.path, **body})
                service.keys.append(self.headers.get("Authorization", ""))
                answer = service.script.pop(0) if service.script else service.always(body)
            try:
                if service.meeting is not None:
                    service.meeting.wait()
                self.answer(answer)
            finally:
                with lock:
                    now -= 1

        def answer(self, answer: Answer | None) -> None:
            if answer is None:
                service.ended.wait(30)
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if "Dripping" not in headers:
                self.wfile.write(content)
                return
            try:
                while not service.ended.wait(0.02):
                    self.wfile.write(b" ")
            except OSError:  # the client has had enough
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield service
    finally:
        service.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
