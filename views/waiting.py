"""Answers that wait for a task's end: `?wait=N` on reading it, `Prefer: wait=N` on making it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

from flask import g, request
from werkzeug.http import parse_dict_header

from mongo.jobs import Job
from utils.errors import InvalidParameter, TooManyStreams
from views.context import context
from views.openapi.operations import Parameter
from views.whole_numbers import whole_number

LONGEST_WAIT = 60  # s; less than proxies wait for an answer

WAIT = Parameter(
    "wait",
    "query",
    "Seconds to wait for the end, at most.",
    {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT, "default": 0},
    30,
)
PREFER = Parameter(
    "Prefer",
    "header",
    f"`wait=N`: wait for the end, N seconds at most ({LONGEST_WAIT} if it is more) (RFC 7240).",
    {"type": "string"},
    "wait=30",
)


def wait_for_end(job: Job, seconds: float) -> Job:
    """The job once it has ended, or as it stands after `seconds`.

    Does not wait where as many requests wait already as may: an early answer is a right answer too.
    """
    if job.status.is_final or seconds <= 0:
        return job
    request.close()  # the temporary file of an upload need not wait too
    began = time.monotonic()
    with suppress(TooManyStreams), context().lookout.watch_job(job) as watch:
        while not job.status.is_final and (news := watch.next(began + seconds - time.monotonic())):
            job = news.job
    g.waited = g.get("waited", 0.0) + time.monotonic() - began  # is not the service's slowness
    return job


def wait_for_ends(jobs: Iterable[Job], seconds: float) -> list[Job]:
    """The jobs once all have ended, or as they stand after `seconds`."""
    deadline = time.monotonic() + seconds
    return [wait_for_end(job, deadline - time.monotonic() if seconds else 0) for job in jobs]


def asked_wait() -> int:
    """Seconds that the query parameter `wait` asks for; 0 without it.

    Raises:
        InvalidParameter: it is no number from 0 to LONGEST_WAIT.
    """
    value = request.args.get("wait", "0")
    seconds = whole_number(value)
    if seconds is None or seconds > LONGEST_WAIT:
        raise InvalidParameter(f"wait={value!r} is not valid: it can be 0 to {LONGEST_WAIT} seconds.", field="wait")
    return seconds


def preferred_wait() -> int:
    """Seconds that the header `Prefer: wait=N` (RFC 7240) asks for, LONGEST_WAIT at most; 0 without it.

    A preference that cannot be understood is ignored, as the standard wants it.
    """
    value = parse_dict_header(request.headers.get("Prefer", "").lower().replace(";", ",")).get("wait") or ""
    return min(whole_number(value) or 0, LONGEST_WAIT)
