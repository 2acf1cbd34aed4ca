"""What a web process counts of its requests, in prometheus-client's own terms.

Under gunicorn each process writes its numbers to a file of its own (multiprocess mode, `deploy/gunicorn.conf.py`), so
any of them can tell of all. A request is named by its route's template: an address that a client made up would
be a new time series for each.
"""

from __future__ import annotations

import os
import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_own = CollectorRegistry()

REQUESTS = Counter(
    "upscaler_http_requests",
    "Requests that were answered, by route template (none: there is no such route), method and status.",
    ("route", "method", "status"),
    registry=_own,
)
REQUEST_SECONDS = Histogram(
    "upscaler_http_request_seconds",
    "Seconds from the first line of a request to the first byte of its answer, without those that it asked to wait.",
    ("route", "method"),
    buckets=SECONDS,
    registry=_own,
)
OPEN_STREAMS = Gauge(
    "upscaler_open_streams",
    "Event streams, WebSockets and waiting requests that are open.",
    registry=_own,
    multiprocess_mode="livesum",
)


def register(app: Flask) -> None:
    """Count every request of `app`, by the clock that its log line starts (`views.requests_log`)."""

    @app.after_request
    def _count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(route, method, str(response.status_code)).inc()
        if "began" in g:
            REQUEST_SECONDS.labels(route, method).observe(time.perf_counter() - g.began - g.get("waited", 0.0))
        return response


def all_processes() -> CollectorRegistry:
    """The numbers of all processes of this web server; of this one alone where it is the only one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return _own
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
