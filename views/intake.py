"""From an upload to its task: under which name, whether there is one already, whether queue and store have room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import structlog

from celery_app import BrokerUnavailable, send_upscale
from mongo.jobs import Job, NameTaken, Status, StoredImage
from utils.errors import NameConflict, QueueFull, ServiceError, StoreFull
from views.context import context, owner
from views.picture_names import picture_name
from views.request_ids import request_id
from views.upload_form import Upload

log = structlog.get_logger()


@dataclass(frozen=True)
class Taken:
    """The task that an upload has now."""

    job: Job
    remarks: Mapping[str, Any] = field(default_factory=dict)  # what is said of a duplicate beside its task


def take_in(upload: Upload) -> Taken:
    """Make a task of the upload and send it to a worker, or name the task that its name has already.

    Raises:
        NameConflict: on_conflict=reject, and the name has a current task.
        QueueFull, StoreUnavailable, StoreFull: nothing was kept.
    """
    try:
        job = _new_job(upload)
    except NameTaken as taken:
        return Taken(taken.job, _remarks(taken.job, upload))
    if job.status is Status.PENDING:
        _send(job)
    return Taken(job)


def _remarks(holder: Job, upload: Upload) -> dict[str, Any]:
    """Whether the task that has the name is of the same picture and request."""
    return {
        "duplicate": True,
        "same_image": upload.sha256 == holder.source.sha256,
        "same_request": upload.wishes == holder.request,
    }


def _new_job(upload: Upload) -> Job:
    """A new job for the upload, under the first name that `on_conflict` lets it have.

    Raises:
        NameTaken: on_conflict=return, and the name has a current job.
        NameConflict: on_conflict=reject, and the name has a current job.
    """
    for name in _names_to_try(upload):
        try:
            return _create_job(upload, name)
        except NameTaken as taken:
            if upload.on_conflict == "replace":
                context().store.jobs.release(taken.job)
            elif upload.on_conflict == "reject":
                raise NameConflict(
                    f"{name} is taken by another task. Send it under another name, or with on_conflict=replace.",
                    field="on_conflict",
                    task_id=taken.job.id,
                ) from None
            elif upload.on_conflict == "return":
                raise
    raise AssertionError("there are always more names to try")


def _names_to_try(upload: Upload) -> Iterator[str]:
    if upload.on_conflict != "rename":
        return repeat(upload.name)
    path = Path(upload.name)
    numbered = (picture_name(f"{path.stem} ({number}){path.suffix}") for number in count(2))
    return chain([upload.name], numbered)


def _create_job(upload: Upload, name: str) -> Job:
    """Store the bytes, then the job; where the name is taken the bytes go again.

    The same bytes and wishes as a finished job's of this owner make a job that is finished at once.

    Raises:
        NameTaken: the name has a current job.
    """
    jobs = context().store.jobs
    # The unique index decides; a look beforehand saves storing bytes in vain.
    if holder := jobs.current(owner(), name):
        raise NameTaken(holder)
    if done := jobs.finished_like(owner(), upload.sha256, upload.wishes):
        keep = timedelta(seconds=context().settings.result_ttl)
        return jobs.create_finished(done.copy_for(name, upload.callback_url, request_id()), keep)
    _check_queue()
    _check_room(upload)
    return _store_upload(upload, name)


def _check_queue() -> None:
    limit = context().settings.max_queue
    if context().store.jobs.waiting() >= limit:
        raise QueueFull(
            f"{limit} tasks are waiting already. Try again later.",
            retry_after=context().estimator.until_there_is_room(),
        )


def _check_room(upload: Upload) -> None:
    quota = context().settings.store_quota_bytes
    if quota and context().store.used_bytes() + upload.bytes > quota:
        raise StoreFull(
            f"The {quota.human_readable()} for pictures are used up. Delete some; an hour or two later there is room."
        )


def _store_upload(upload: Upload, name: str) -> Job:
    store = context().store
    stored = store.uploads.save(upload.stream, name)
    source = StoredImage(
        file_id=stored.file_id,
        format=upload.header.format,
        mode=upload.header.mode,
        width=upload.header.width,
        height=upload.header.height,
        bytes=stored.bytes,
        sha256=stored.sha256,
    )
    job = Job.new(owner(), name, upload.wishes, source, upload.callback_url, request_id())
    try:
        return store.jobs.create(job)
    except NameTaken:
        # After any other error the job may stand in MongoDB all the same: then the bytes are its own, else the sweep's.
        store.uploads.delete(stored.file_id)
        raise


def _send(job: Job) -> None:
    try:
        send_upscale(job.id, job.request_id)
        context().store.jobs.mark_sent(job.id)
    except (BrokerUnavailable, ServiceError) as error:
        # The job is safe in MongoDB: the sweep sends it as soon as it can.
        log.warning("task not sent yet", task_id=job.id, reason=str(error))
