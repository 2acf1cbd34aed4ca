"""One log line a request: what was asked, what was answered, how long it took."""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, request

log = structlog.get_logger("http")


def register(app: Flask) -> None:
    """Log every request of `app`; health checks and scrapes only at the level debug."""

    @app.before_request
    def _begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def _log(response: Response) -> Response:
        write = log.debug if request.blueprint in ("health", "metrics") else log.info
        took = round((time.perf_counter() - g.began) * 1000, 1) if "began" in g else None
        write(
            f"{request.method} {request.path}",
            status=response.status_code,
            ms=took,
            bytes=response.content_length,
            client=request.remote_addr,
            **({"task_id": g.task_id} if "task_id" in g else {}),
        )
        return response
