"""A real HTTP server with one file, that can break off, ignore ranges and refuse."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server does, and what was asked of it."""

    body: bytes
    break_after: list[int] = field(default_factory=list)
    """For each of the next answers, the bytes after which the connection is closed."""
    knows_ranges: bool = True
    status: int | None = None
    """Answer every request with this error instead."""
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of every request so far."""
    url: str = ""


@contextmanager
def serving(body: bytes) -> Iterator[Behaviour]:
    """The server, on a port of its own on loopback, until the block ends."""
    behaviour = Behaviour(body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            behaviour.ranges.append(asked)
            if behaviour.status is not None:
                self.send_error(behaviour.status)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and behaviour.knows_ranges else 0
            rest = behaviour.body[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            if start:
                total = len(behaviour.body)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.end_headers()
            self.wfile.write(rest[: behaviour.break_after.pop(0)] if behaviour.break_after else rest)

        def log_message(self, *arguments: object) -> None:
            """Not into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    behaviour.url = f"http://127.0.0.1:{server.server_port}/weights.pth"
    try:
        yield behaviour
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
