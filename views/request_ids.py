"""The id of a request: in its log lines and its answer, and in those of the task and the callback that come of it.

Whoever stands in front names it (nginx, or a proxy that nginx trusts); where nobody does, it is made here.
"""

from __future__ import annotations

import re
import uuid

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,128}")  # as in deploy/nginx/site.conf.template; it goes into logs as it is


def register(app: Flask) -> None:
    """Give every request of `app` its id. To be registered first, so that nothing is logged without it."""

    @app.before_request
    def _begin() -> None:
        named = request.headers.get(HEADER, "")
        g.request_id = named if WELL_FORMED.fullmatch(named) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()  # of the request that this thread answered before
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def _tell(response: Response) -> Response:
        if "request_id" in g:
            response.headers[HEADER] = g.request_id
        return response


def request_id() -> str:
    """That of the present request."""
    found: str = g.request_id
    return found
