"""A job as callers see it: the JSON document that HTTP answers with and that callbacks carry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from mongo.jobs import Job, Status, StoredImage


def task_document(job: Job, position: int | None = None, eta: datetime | None = None) -> dict[str, Any]:
    """The members of a task, ready for JSON.

    Args:
        position: its place in the queue, if it waits.
        eta: when it will be done, if it is not over.
    """
    links = {"self": f"/tasks/{job.id}", "events": f"/tasks/{job.id}/events"}
    if job.status is Status.SUCCESS and not job.expired:
        result = f"/processed/{quote(job.name)}"
        links |= {"result": result, "metadata": f"{result}/metadata", "thumbnail": f"{result}/thumbnail"}
    return {
        "task_id": job.id,
        "name": job.name,
        "status": job.status,
        "progress": round(job.progress, 3),
        "position": position,
        "eta": rfc3339(eta),
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(job.started_at),
        "finished_at": rfc3339(job.finished_at),
        "expires_at": rfc3339(job.expires_at),
        "request": job.request.model_dump(),
        "source": image_document(job.source),
        "result": image_document(job.result) if job.result else None,
        "error": job.error,
        "links": links,
    }


def rfc3339(moment: datetime | None) -> str | None:
    """`moment` in UTC with milliseconds, such as 2026-11-20T19:00:00.000Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def image_document(image: StoredImage) -> dict[str, Any]:
    """What is known of a picture by its header and bytes."""
    return {
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "format": image.format,
        "bytes": image.bytes,
        "sha256": image.sha256,
    }
