"""`GET /metrics`: the service's numbers for Prometheus, whichever web process answers.

They come from three places. What web processes count of requests is in the files that they share
(`views.http_measures`). What workers count is in MongoDB, where they add to it (`celery_app.measures`). How things
stand at this moment is read from MongoDB and Redis (`views.figures`). docs/operations.md says what each number means.

nginx does not pass this address on: numbers are for operators.
"""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from views.context import context
from views.http_measures import all_processes
from views.openapi.headers import CACHE_CONTROL
from views.openapi.operations import Answer, operation

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@operation(
    "get_metrics",
    "Service",
    Answer(HTTPStatus.OK, "The numbers.", "text/plain", {"type": "string"}, headers=[CACHE_CONTROL]),
    uses_store=False,
)
def metrics() -> Response:
    """All numbers, in Prometheus' text format or, where that is asked for, in OpenMetrics."""
    registry = CollectorRegistry()
    registry.register(all_processes())
    registry.register(context().figures)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    response = Response(encode(registry), content_type=content_type)
    response.headers["Cache-Control"] = "no-store"
    return response
