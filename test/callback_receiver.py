"""A receiver of callbacks on loopback: keeps what it is sent, and answers as it is told to."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass(frozen=True)
class Callback:
    """One POST that came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self) -> dict[str, Any]:
        """The document, once the library found its signature right."""
        document: dict[str, Any] = Webhook(SECRET).verify(self.body, self.headers)
        assert document == json.loads(self.body)
        return document


@dataclass
class Receiver:
    """What came in, and what is answered to the next ones."""

    port: int
    answers: list[int] = field(default_factory=list)  # to the next callbacks, in this order; then 204
    location: str = ""  # for answers that redirect
    received: list[Callback] = field(default_factory=list)

    def url(self, path: str = "/hook", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def of_task(self, task_id: str) -> list[Callback]:
        return [callback for callback in self.received if callback.verified()["data"]["task_id"] == task_id]


@contextmanager
def running_receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver that listens as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.received.append(Callback(self.path, dict(self.headers), body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that does not trust our certificate hangs up: that is the test's business."""

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(server.server_address[1])
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


@contextmanager
def mute_listener(drip: bytes = b"") -> Iterator[int]:
    """The port of a server that takes connections and never ends its answer, sending `drip` again and again."""
    over = threading.Event()

    def serve() -> None:
        connections = []
        while not over.wait(0.1):
            with suppress(TimeoutError):
                connections.append(listener.accept()[0])
            for connection in connections:
                with suppress(OSError):
                    connection.send(drip)
        for connection in connections:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join()
