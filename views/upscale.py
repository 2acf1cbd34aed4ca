"""`POST /upscale`: take a picture in, answer at once with a task."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import structlog
from flask import Blueprint, Response, g, url_for

from celery_app import BrokerUnavailable, send_upscale
from mongo.jobs import Job, NameTaken, Status, StoredImage
from utils.errors import NameConflict, QueueFull, ServiceError
from views.context import context, owner
from views.idempotency import answered_once
from views.picture_names import picture_name
from views.tasks import task_response
from views.upload_form import Upload, read_upload
from views.waiting import preferred_wait, wait_for_end

blueprint = Blueprint("upscale", __name__)
log = structlog.get_logger()


@blueprint.post("/upscale")
def upscale() -> Response:
    """Make a task of the picture in the multipart field `image`, or name the task that it has already."""
    upload = read_upload(context().settings)
    return answered_once(upload.digest, lambda: _answer(upload))


def _answer(upload: Upload) -> Response:
    try:
        job = _take_in(upload)
    except NameTaken as taken:
        g.task_id = taken.job.id
        return _duplicate(wait_for_end(taken.job, preferred_wait()), upload)
    g.task_id = job.id
    if job.status is Status.PENDING:
        _send(job)
    return _accepted(wait_for_end(job, preferred_wait()))


def _take_in(upload: Upload) -> Job:
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
    """Store the bytes, then the job; without the job the bytes go again.

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
        job = done.copy_for(name, keep, upload.callback_url)
        jobs.create(job)
        return job
    _check_queue()
    return _store_upload(upload, name)


def _check_queue() -> None:
    limit = context().settings.max_queue
    if context().store.jobs.waiting() >= limit:
        raise QueueFull(
            f"{limit} tasks are waiting already. Try again later.",
            retry_after=context().estimator.until_there_is_room(),
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
    job = Job.new(owner(), name, upload.wishes, source, upload.callback_url)
    try:
        store.jobs.create(job)
    except (NameTaken, ServiceError):
        store.uploads.delete(stored.file_id)
        raise
    return job


def _send(job: Job) -> None:
    try:
        send_upscale(job.id)
        context().store.jobs.mark_sent(job.id)
    except (BrokerUnavailable, ServiceError) as error:
        # The job is safe in MongoDB: the sweep sends it as soon as it can.
        log.warning("task not sent yet", task_id=job.id, reason=str(error))


def _accepted(job: Job, **members: Any) -> Response:
    response = task_response(job, **members)
    response.headers["Location"] = url_for("tasks.task", task_id=job.id)
    response.status_code = HTTPStatus.OK if job.status.is_final else HTTPStatus.ACCEPTED
    if job.status.is_final and (seconds := preferred_wait()):
        response.headers["Preference-Applied"] = f"wait={seconds}"
    return response


def _duplicate(holder: Job, upload: Upload) -> Response:
    """The name has a current task: name it, and say whether it is the same picture and request."""
    return _accepted(
        holder,
        duplicate=True,
        same_image=upload.sha256 == holder.source.sha256,
        same_request=upload.wishes == holder.request,
        detail=_duplicate_detail(holder),
    )


def _duplicate_detail(holder: Job) -> str:
    if holder.status is Status.SUCCESS:
        return f"{holder.name} has been upscaled already. Fetch it from links.result."
    return f"{holder.name} is being processed already. Wait for this task to end."
