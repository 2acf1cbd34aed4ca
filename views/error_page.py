"""What a person sees of an error: what happened, what to do, and for "too many" what is under way."""

from __future__ import annotations

from http import HTTPStatus

from flask import render_template

from mongo.jobs import Job
from utils.errors import ServiceError, StoreUnavailable
from views.context import context, owner
from views.request_ids import request_id

EXPLAINED = (404, 410, 413, 415, 429, 500, 503, 507)  # statuses with a text of their own
MOST_SHOWN = 5  # of the tasks that are under way


def error_page(error: ServiceError, detail_link: str) -> str:
    """The page for `error`, in the visitor's language; its own sentence stays as it is."""
    is_busy = error.status == HTTPStatus.TOO_MANY_REQUESTS
    return render_template(
        "error.html",
        error=error,
        detail_link=detail_link,
        request_id=request_id(),
        kind=error.status if error.status in EXPLAINED else "other",
        task_id=error.members.get("task_id") if error.status == HTTPStatus.CONFLICT else None,
        running=_under_way() if is_busy else [],
    )


def _under_way() -> list[Job]:
    """The visitor's oldest tasks that are not over; none where the store cannot tell."""
    try:
        return context().store.jobs.running(owner())[:MOST_SHOWN]
    except StoreUnavailable:
        return []
