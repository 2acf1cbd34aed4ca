"""`/batches/<id>`: how the pictures of one request stand, each and all together, and their results as one archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, NotRequired, cast

from flask import Blueprint, Response, jsonify, url_for
from pydantic import Field, with_config
from typing_extensions import TypedDict

from mongo.batches import REFUSED, Batch, BatchFile
from mongo.jobs import Job, Status
from mongo.task_document import DOCUMENT, Moment, Path, TaskDocument, rfc3339, task_document
from utils.errors import InvalidParameter, NotReady, UnknownBatch
from views.batch_archive import Archive
from views.context import context, owner
from views.errors import ProblemDocument
from views.openapi import examples, headers
from views.openapi.operations import Answer, ok, operation
from views.waiting import WAIT, asked_wait, wait_for_ends

blueprint = Blueprint("batches", __name__)


STATUS = (
    "`PENDING` until a task has begun, then `STARTED`; in the end `SUCCESS` if every picture was made, else `FAILURE`."
)


class RefusedFile(ProblemDocument):
    """A file of a batch that was not taken, and why."""

    name: str
    retry_after: NotRequired[int]


@with_config(DOCUMENT)
class Counts(TypedDict):
    """How many files of a batch stand how; together as many as were sent."""

    PENDING: int
    STARTED: int
    SUCCESS: int
    FAILURE: int
    REVOKED: int
    REFUSED: int


@with_config(DOCUMENT)
class BatchLinks(TypedDict):
    self: Path
    events: Path
    zip: Path


@with_config(DOCUMENT)
class BatchSummary(TypedDict):
    """How a batch stands as a whole."""

    batch_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    status: Annotated[Status, Field(description=STATUS)]
    progress: Annotated[float, Field(ge=0, le=1, description="The share of the work that is done, by pixels.")]
    counts: Counts
    created_at: Moment
    links: BatchLinks


@with_config(DOCUMENT)
class BatchDocument(BatchSummary):
    """Several pictures of one request: how they stand, each and all together."""

    tasks: list[TaskDocument | RefusedFile]
    """For each file, in their order, its task or why it has none."""


@blueprint.get("/batches/<batch_id>")
@operation(
    "get_batch",
    "Batches",
    ok(
        BatchDocument,
        "How the batch stands.",
        headers.CACHE_CONTROL,
        headers.sometimes(headers.RETRY_AFTER),
        example=examples.BATCH,
    ),
    errors=[UnknownBatch, InvalidParameter],
    parameters=[WAIT],
)
def batch(batch_id: str) -> Response:
    """How a batch stands.

    With `?wait=N` the answer waits for the end of all its tasks, N seconds at most.
    """
    seconds = asked_wait()
    found, jobs = find_batch(batch_id)
    return batch_response(found, wait_for_ends(jobs, seconds))


@blueprint.get("/batches/<batch_id>.zip")
@operation(
    "get_batch_archive",
    "Batches",
    Answer(
        HTTPStatus.OK,
        "The results, and `manifest.json` that tells what became of each file.",
        "application/zip",
        {"type": "string", "format": "binary"},
        headers=[
            headers.CONTENT_LENGTH,
            headers.CONTENT_DISPOSITION,
            headers.NOSNIFF,
            headers.CACHE_CONTROL,
        ],
    ),
    errors=[UnknownBatch, NotReady],
)
def archive(batch_id: str) -> Response:
    """All results of a batch and a manifest as one archive, once every task has ended."""
    found, jobs = find_batch(batch_id)
    if unfinished := [job for job in jobs if not job.status.is_final]:
        raise NotReady(
            f"{len(unfinished)} of the batch's {len(jobs)} tasks have not ended yet. Follow the batch.",
            retry_after=_retry_after(unfinished),
            batch_id=found.id,
            progress=_progress(jobs),
        )
    return Archive(found, jobs, context().store.results).response()


def find_batch(batch_id: str) -> tuple[Batch, list[Job]]:
    """The batch of that id and its tasks, each once, in the order of their files.

    Raises:
        UnknownBatch: the owner has none.
    """
    store = context().store
    if found := store.batches.get(owner(), batch_id):
        jobs = {job.id: job for job in store.jobs.many(found.task_ids)}
        # A task that was forgotten takes its batch along; the next clean-up removes it.
        if len(jobs) == len(found.task_ids):
            return found, [jobs[task_id] for task_id in found.task_ids]
    raise UnknownBatch(f"No batch has the id {batch_id!r}. Ids come from POST /upscale with several images.")


def batch_response(batch: Batch, jobs: Iterable[Job]) -> Response:
    """The answer that tells how a batch stands, with Retry-After while it is not over."""
    jobs = list(jobs)
    response = jsonify(batch_document(batch, jobs))
    response.headers["Cache-Control"] = "no-store"
    if unfinished := [job for job in jobs if not job.status.is_final]:
        response.headers["Retry-After"] = str(_retry_after(unfinished))
    return response


def batch_document(batch: Batch, jobs: Iterable[Job]) -> BatchDocument:
    """A batch as callers see it, with a task's document or a problem for each file."""
    by_id = {job.id: job for job in jobs}
    return {**summary(batch, by_id.values()), "tasks": [_file_document(file, by_id) for file in batch.files]}


def summary(batch: Batch, jobs: Iterable[Job]) -> BatchSummary:
    """How a batch stands as a whole: all but its files.

    `counts` is by file, so that its numbers add up to the files that were sent.
    """
    by_id = {job.id: job for job in jobs}
    counts = Counter(str(by_id[file.task_id].status) if file.task_id else REFUSED for file in batch.files)
    return {
        "batch_id": batch.id,
        "status": _status(counts),
        "progress": _progress(by_id.values()),
        "counts": cast(Counts, {state: counts[state] for state in (*Status, REFUSED)}),
        "created_at": rfc3339(batch.created_at),
        "links": {
            "self": url_for("batches.batch", batch_id=batch.id),
            "events": url_for("batch_events.batch_events", batch_id=batch.id),
            "zip": url_for("batches.archive", batch_id=batch.id),
        },
    }


def _status(counts: Mapping[str, int]) -> Status:
    """A batch's state in the words of its tasks: one that was refused or cancelled did not succeed."""
    states = {state for state, count in counts.items() if count}
    if states <= {Status.PENDING, REFUSED}:
        return Status.PENDING
    if states & {Status.PENDING, Status.STARTED}:
        return Status.STARTED
    return Status.SUCCESS if states == {Status.SUCCESS} else Status.FAILURE


def _progress(jobs: Iterable[Job]) -> float:
    """0 to 1, each task weighing as much as its source has pixels; one that has ended is done, however it ended."""
    weights = [(job.source.width * job.source.height, 1.0 if job.status.is_final else job.progress) for job in jobs]
    return round(sum(pixels * done for pixels, done in weights) / sum(pixels for pixels, _ in weights), 3)


def _file_document(file: BatchFile, jobs: Mapping[str, Job]) -> TaskDocument | RefusedFile:
    if file.task_id is None:
        return cast(RefusedFile, {"name": file.name, **(file.error or {})})
    return cast(TaskDocument, {**task_document(jobs[file.task_id]), **file.remarks})


def _retry_after(unfinished: list[Job]) -> int:
    """Seconds until the last of these tasks is thought to end, within bounds."""
    return context().estimator.of(max(unfinished, key=lambda job: job.created_at)).retry_after
