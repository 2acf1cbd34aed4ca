"""gunicorn's worker with threads: it has our words for what it cannot read, and can leave its address early."""

from __future__ import annotations

import json
import socket
import uuid

from gunicorn.http.errors import ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName, ParseException
from gunicorn.http.message import Request
from gunicorn.sock import BaseSocket
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from utils.errors import BadRequest

OUR_FAULT = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """Answers a request that is not HTTP with a problem document, where gunicorn has a page."""

    def leave_address(self) -> None:
        """Let another listen there while this one ends what it is at: an address is taken until all have left it."""
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()

    def accept(self, listener: BaseSocket) -> None:
        if listener.sock is not None:  # the address may have been left in the same round of events
            super().accept(listener)

    def handle_error(self, req: Request, client: socket.socket, addr: tuple[str, int], exc: Exception) -> None:
        if not isinstance(exc, ParseException) or isinstance(exc, OUR_FAULT):
            super().handle_error(req, client, addr, exc)
            return
        request_id = uuid.uuid4().hex
        self.log.warning("Invalid request %s from %s: %s", request_id, addr[0], exc)
        write_nonblock(client, _unreadable(str(exc), request_id))


def _unreadable(reason: str, request_id: str) -> bytes:
    error = BadRequest(f"The request is not HTTP as it should be, or its address or headers are too long. {reason}")
    document = {
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    body = json.dumps(document).encode()
    head = (
        f"HTTP/1.1 {error.status} Bad Request\r\nConnection: close\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
