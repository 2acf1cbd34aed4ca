"""`/batches/<id>`: how the pictures of one request stand, each and all together, and their results as one archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, url_for

from mongo.batches import REFUSED, Batch, BatchFile
from mongo.jobs import Job, Status
from mongo.task_document import rfc3339, task_document
from utils.errors import NotReady, UnknownBatch
from views.batch_archive import Archive
from views.context import context, owner
from views.waiting import asked_wait, wait_for_ends

blueprint = Blueprint("batches", __name__)


@blueprint.get("/batches/<batch_id>")
def batch(batch_id: str) -> Response:
    """How the batch stands. With `?wait=N` the answer waits for the end of all its tasks, N seconds at most."""
    seconds = asked_wait()
    found, jobs = find_batch(batch_id)
    return batch_response(found, wait_for_ends(jobs, seconds))


@blueprint.get("/batches/<batch_id>.zip")
def archive(batch_id: str) -> Response:
    """All results and a manifest, once every task has ended."""
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


def batch_document(batch: Batch, jobs: Iterable[Job]) -> dict[str, Any]:
    """A batch as callers see it, with a task's document or a problem for each file."""
    by_id = {job.id: job for job in jobs}
    return summary(batch, by_id.values()) | {"tasks": [_file_document(file, by_id) for file in batch.files]}


def summary(batch: Batch, jobs: Iterable[Job]) -> dict[str, Any]:
    """How a batch stands as a whole: all but its files.

    `counts` is by file, so that its numbers add up to the files that were sent.
    """
    by_id = {job.id: job for job in jobs}
    counts = Counter(str(by_id[file.task_id].status) if file.task_id else REFUSED for file in batch.files)
    return {
        "batch_id": batch.id,
        "status": _status(counts),
        "progress": _progress(by_id.values()),
        "counts": {state: counts[state] for state in (*Status, REFUSED)},
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


def _file_document(file: BatchFile, jobs: Mapping[str, Job]) -> dict[str, Any]:
    if file.task_id is None:
        return {"name": file.name, **(file.error or {})}
    return task_document(jobs[file.task_id]) | dict(file.remarks)


def _retry_after(unfinished: list[Job]) -> int:
    """Seconds until the last of these tasks is thought to end, within bounds."""
    return context().estimator.of(max(unfinished, key=lambda job: job.created_at)).retry_after
