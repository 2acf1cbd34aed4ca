"""`GET /batches/<id>/events`: a batch as it goes on, as server-sent events.

Of the kinds of `views.events`: `state` and `end` carry the whole batch, `progress` the batch without its files and,
as `task`, the one that has changed. A stream that is opened again begins with the present state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from flask import Blueprint, Response, current_app, request

from mongo.batches import Batch
from mongo.jobs import Job
from mongo.task_document import task_document
from utils.errors import TooManyStreams, UnknownBatch
from views.answers import no_content
from views.batches import batch_document, find_batch, summary
from views.context import context
from views.events import HEARTBEAT, LAST_EVENT_ID, NOTHING_NEW, Event, Kind, event_stream, stream_answer
from views.lookout import Watch
from views.openapi import examples
from views.openapi.operations import operation

blueprint = Blueprint("batch_events", __name__)

END = "end"  # the id of the last event


@blueprint.get("/batches/<batch_id>/events")
@operation(
    "follow_batch",
    "Batches",
    stream_answer(
        "the batch; in `progress` without its files, and with the one that changed as `task`,", examples.BATCH_STREAM
    ),
    NOTHING_NEW,
    errors=[UnknownBatch, TooManyStreams],
    parameters=[LAST_EVENT_ID],
)
def batch_events(batch_id: str) -> Response:
    """The batch's events, from its present state to the end of its last task.

    A client that comes back with the Last-Event-ID of the end gets 204, which tells an EventSource not to come again.
    """
    batch, jobs = find_batch(batch_id)
    if request.headers.get("Last-Event-ID") == END and _is_over(jobs):
        return no_content()
    watch = context().lookout.watch_jobs(jobs)
    return event_stream(watch, _story(batch, jobs, watch))


def _story(batch: Batch, jobs: list[Job], watch: Watch) -> Iterator[list[Event]]:
    present = {job.id: job for job in jobs}
    state = _whole("state", batch, jobs)
    yield [state, _whole("end", batch, jobs)] if _is_over(jobs) else [state]
    for news in watch.news(HEARTBEAT):
        if news is None:
            yield []
            continue
        present[news.job.id] = news.job
        progress = _progress(batch, present.values(), news.job)
        yield [progress, _whole("end", batch, present.values())] if _is_over(present.values()) else [progress]


def _is_over(jobs: Collection[Job]) -> bool:
    return all(job.status.is_final for job in jobs)


def _whole(kind: Kind, batch: Batch, jobs: Collection[Job]) -> Event:
    document = batch_document(batch, jobs)
    return Event(kind, END if kind == "end" else f"{document['progress']:.3f}", current_app.json.dumps(document))


def _progress(batch: Batch, jobs: Collection[Job], changed: Job) -> Event:
    document = summary(batch, jobs) | {"task": task_document(changed)}
    return Event("progress", f"{document['progress']:.3f}", current_app.json.dumps(document))
