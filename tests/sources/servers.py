"""Small HTTP servers on this machine: one that serves ranges as it should, and ways in which it does not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Misbehave = Callable[["Handler", int, int], None]


@dataclass
class Site:
    """What a server has, how it misbehaves, and what it was asked. Bytes are those of bodies that it sent."""

    files: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)
    misbehave: Misbehave | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bytes_sent: int = 0
    origin: str = ""

    def put(self, path: str, content: bytes, tag: str | None = '"1"') -> str:
        """The address of a file that is there from now on."""
        self.files[path], self.tags[path] = content, tag
        return f"{self.origin}/{path}"


class Handler(BaseHTTPRequestHandler):
    """Answers a GET for one range."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self.site.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        content = self.site.files.get(self.path.lstrip("/"))
        if content is None:
            self.reply(404, b"")
            return
        start, stop = self.wanted(len(content))
        if self.site.misbehave is not None:
            self.site.misbehave(self, start, stop)
        elif "If-Match" in self.headers and self.headers["If-Match"] != self.tag:
            self.reply(412, b"")
        else:
            self.range(content, start, stop)

    @property
    def tag(self) -> str | None:
        return self.site.tags[self.path.lstrip("/")]

    def wanted(self, size: int) -> tuple[int, int]:
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1, size)

    def range(self, content: bytes, start: int, stop: int) -> None:
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"} if content else {"Content-Range": "bytes */0"}
        self.reply(206 if content else 416, content[start:stop], headers)

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        named = {"Content-Length": str(len(body) if length is None else length), **(headers or {})}
        if status in (200, 206) and self.tag is not None:
            named.setdefault("ETag", self.tag)
        for name, value in named.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.site.bytes_sent += len(body)

    def trickle(self, body: bytes, seconds: float) -> None:
        with contextlib.suppress(OSError):
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(seconds)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Waits for no client that is slow, and says nothing of those that went away."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """A server without files."""
    made = Site()
    handler = type("Handler", (Handler,), {"site": made})
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.origin = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
