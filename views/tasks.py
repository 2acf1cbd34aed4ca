"""`/tasks`: how tasks stand, and their cancelling."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, g, jsonify, request, url_for
from pydantic import with_config
from typing_extensions import TypedDict

from mongo.job_store import Position
from mongo.jobs import Job, Status
from mongo.task_document import DOCUMENT, Path, TaskDocument, task_document
from utils.errors import AlreadyEnded, InvalidParameter, UnknownTask
from views.context import context, owner
from views.openapi import examples
from views.openapi.headers import CACHE_CONTROL, RETRY_AFTER, sometimes
from views.openapi.operations import Parameter, ok, operation
from views.waiting import WAIT, asked_wait, wait_for_end
from views.whole_numbers import whole_number

blueprint = Blueprint("tasks", __name__)

PAGE, LARGEST_PAGE = 50, 500  # tasks in one answer of GET /tasks


@with_config(DOCUMENT)
class TaskPage(TypedDict):
    """Some of the tasks, newest first."""

    tasks: list[TaskDocument]
    next: Path | None
    """Where the next page is; null on the last."""


FILTERS = [
    Parameter("status", "query", "Only tasks in this state.", {"type": "string", "enum": list(Status)}),
    Parameter("name", "query", "Only tasks of this name.", {"type": "string"}, "photo.jpg"),
    Parameter(
        "limit",
        "query",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE},
    ),
    Parameter("cursor", "query", "Where to go on; part of `next`.", {"type": "string", "format": "cursor"}),
]


@blueprint.get("/tasks/<task_id>")
@operation(
    "get_task",
    "Tasks",
    ok(
        TaskDocument,
        "How the task stands.",
        CACHE_CONTROL,
        sometimes(RETRY_AFTER),
        example=examples.TASK,
        links={"get_result": {"name": "$response.body#/name"}, "get_metadata": {"name": "$response.body#/name"}},
    ),
    errors=[UnknownTask, InvalidParameter],
    parameters=[WAIT],
)
def task(task_id: str) -> Response:
    """How a task stands.

    With `?wait=N` the answer waits for the task's end, N seconds at most. `Retry-After` says when to ask again.
    """
    g.task_id = task_id
    seconds = asked_wait()
    return task_response(wait_for_end(find_task(task_id), seconds))


@blueprint.delete("/tasks/<task_id>")
@operation(
    "cancel_task",
    "Tasks",
    ok(TaskDocument, "It is cancelled: `REVOKED`.", CACHE_CONTROL),
    errors=[UnknownTask, AlreadyEnded],
)
def cancel(task_id: str) -> Response:
    """Cancel a task that waits or runs.

    Its name is free at once, and a worker stops at its next tile. The task itself can still be asked for.
    """
    g.task_id = task_id
    if cancelled := context().store.jobs.cancel(owner(), task_id):
        return task_response(cancelled)
    job = find_task(task_id)
    raise AlreadyEnded(f"The task is over: {job.status}. There is nothing to cancel.", task_id=job.id)


@blueprint.get("/tasks")
@operation(
    "list_tasks",
    "Tasks",
    ok(TaskPage, "A page of tasks.", CACHE_CONTROL, example={"tasks": [examples.TASK], "next": None}),
    errors=[InvalidParameter],
    parameters=FILTERS,
)
def tasks() -> Response:
    """The tasks, newest first, a page at a time."""
    limit = _limit(request.args.get("limit", str(PAGE)))
    before = read_cursor(request.args["cursor"]) if "cursor" in request.args else None
    wanted: dict[str, Any] = {key: request.args[key] for key in ("status", "name") if key in request.args}
    if wanted.get("status", Status.PENDING) not in list(Status):
        allowed = ", ".join(Status)
        raise InvalidParameter(f"status={wanted['status']!r} is not valid: it can be {allowed}.", field="status")
    found = context().store.jobs.newest(owner(), wanted, limit + 1, before)
    page = found[:limit]
    document: TaskPage = {"tasks": [task_document(job) for job in page], "next": None}
    if len(found) > limit:
        document["next"] = url_for("tasks.tasks", **wanted, limit=limit, cursor=cursor_of(page[-1]))
    return _uncached(document)


def task_response(job: Job, **members: Any) -> Response:
    """The answer that tells how a task stands, with Retry-After while it is not over.

    Args:
        members: more members of the document.
    """
    if job.status.is_final:
        return _uncached({**task_document(job), **members})
    estimate = context().estimator.of(job)
    response = _uncached({**task_document(job, estimate.position, estimate.eta), **members})
    response.headers["Retry-After"] = str(estimate.retry_after)
    return response


def _uncached(document: Mapping[str, Any]) -> Response:
    response = jsonify(document)
    response.headers["Cache-Control"] = "no-store"
    return response


def find_task(task_id: str) -> Job:
    """The job of that id.

    Raises:
        UnknownTask: the owner has none.
    """
    if job := context().store.jobs.get(owner(), task_id):
        return job
    raise UnknownTask(f"No task has the id {task_id!r}. Ids come from POST /upscale.")


def _limit(value: str) -> int:
    limit = whole_number(value)
    if limit is None or not 1 <= limit <= LARGEST_PAGE:
        raise InvalidParameter(f"limit={value!r} is not valid: it can be 1 to {LARGEST_PAGE}.", field="limit")
    return limit


def cursor_of(job: Job) -> str:
    """The place of `job` in the list, for a link; not for callers to look into."""
    place = f"{job.created_at.isoformat()} {job.id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_cursor(value: str) -> Position:
    """The place that a link's cursor stands for.

    Raises:
        InvalidParameter: it is not one of ours.
    """
    try:
        created_at, job_id = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode().split(" ")
        return datetime.fromisoformat(created_at).astimezone(UTC), job_id
    except (ValueError, OverflowError):  # the latter for what is no time in UTC
        raise InvalidParameter("The cursor is not one of ours. Take it from `next`.", field="cursor") from None
