"""`GET /tasks/<id>`: how a task stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, g, jsonify, url_for

from mongo.jobs import Job, Status, StoredImage
from utils.errors import UnknownTask
from views.context import context, owner

blueprint = Blueprint("tasks", __name__)

RETRY_AFTER = 1  # s; pictures of everyday size take about this long


@blueprint.get("/tasks/<task_id>")
def task(task_id: str) -> Response:
    """The task's state: one read of MongoDB."""
    g.task_id = task_id
    job = context().store.jobs.get(owner(), task_id)
    if job is None:
        raise UnknownTask(f"No task has the id {task_id!r}. Ids come from POST /upscale.")
    response = jsonify(task_document(job))
    response.headers["Cache-Control"] = "no-store"
    if not job.status.is_final:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def task_document(job: Job) -> dict[str, Any]:
    """A job as callers see it."""
    links = {"self": url_for("tasks.task", task_id=job.id)}
    if job.status is Status.SUCCESS and not job.expired:
        links["result"] = f"/processed/{quote(job.name)}"
    return {
        "task_id": job.id,
        "name": job.name,
        "status": job.status,
        "progress": round(job.progress, 3),
        "created_at": _rfc3339(job.created_at),
        "started_at": _rfc3339(job.started_at),
        "finished_at": _rfc3339(job.finished_at),
        "expires_at": _rfc3339(job.expires_at),
        "request": job.request.model_dump(),
        "source": _image(job.source),
        "result": _image(job.result) if job.result else None,
        "error": job.error,
        "links": links,
    }


def _image(image: StoredImage) -> dict[str, Any]:
    return {
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "format": image.format,
        "bytes": image.bytes,
        "sha256": image.sha256,
    }


def _rfc3339(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
