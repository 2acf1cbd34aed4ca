"""HTTP: one file a resource. Never imports torch or OpenCV."""

from __future__ import annotations

from flask import Flask

from views import (
    api_docs,
    batch_events,
    batches,
    errors,
    events,
    health,
    http_measures,
    metrics,
    models,
    pages,
    particulars,
    processed,
    rate_limit,
    request_ids,
    requests_log,
    safe_answers,
    tasks,
    upscale,
)

RESOURCES = (
    *(upscale, tasks, batches, batch_events, events, processed, particulars, models),
    *(health, metrics, api_docs, pages),
)


def register(app: Flask) -> None:
    """Put every route, the error pages and the request log on `app`."""
    request_ids.register(app)
    errors.register(app)
    http_measures.register(app)
    requests_log.register(app)
    safe_answers.register(app)
    rate_limit.register(app)
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint)
