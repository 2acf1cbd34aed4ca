"""`POST /upscale`: take a picture in and answer at once with a task; take several in and answer with a batch."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from flask import Blueprint, Response, g, redirect, url_for

from mongo.batches import Batch, BatchFile
from mongo.jobs import Job, Status
from mongo.task_document import TaskDocument
from utils.errors import (
    AnimatedImage,
    BatchRefused,
    EmptyImage,
    InvalidName,
    InvalidParameter,
    KeyInFlight,
    KeyReused,
    MissingImage,
    NameConflict,
    OutputTooLarge,
    QueueFull,
    ServiceError,
    StoreFull,
    StoreUnavailable,
    TooManyBytes,
    TooManyPixels,
    TooManyUploads,
    Undecodable,
    UnknownModel,
    UnsupportedFormat,
)
from views.batches import BatchDocument, batch_response
from views.context import context, owner
from views.errors import problem
from views.idempotency import IDEMPOTENCY_KEY, answered_once
from views.intake import take_in
from views.negotiation import prefers_page
from views.openapi import examples
from views.openapi.form import upload_form
from views.openapi.headers import CACHE_CONTROL, LOCATION, PREFERENCE_APPLIED, REPLAYED, RETRY_AFTER, sometimes
from views.openapi.operations import JSON, Answer, operation
from views.tasks import task_response
from views.upload_form import Refusal, Upload, digest, read_uploads
from views.upload_places import Place
from views.waiting import PREFER, preferred_wait, wait_for_end, wait_for_ends

blueprint = Blueprint("upscale", __name__)


TASK_LINKS = {
    **{name: {"task_id": "$response.body#/task_id"} for name in ("get_task", "cancel_task", "follow_task")},
    **{name: {"batch_id": "$response.body#/batch_id"} for name in ("get_batch", "follow_batch", "get_batch_archive")},
}
RESULT_LINKS = {
    name: {"name": "$response.body#/name"} for name in ("get_result", "delete_result", "get_metadata", "get_thumbnail")
}
FILE_ERRORS = (
    EmptyImage,
    UnsupportedFormat,
    AnimatedImage,
    Undecodable,
    InvalidName,
    TooManyBytes,
    TooManyPixels,
    OutputTooLarge,
)


@blueprint.post("/upscale")
@operation(
    "upscale",
    "Upload",
    Answer(
        HTTPStatus.OK,
        "There is nothing to wait for: the name has a finished picture already (`duplicate`), or the task has ended "
        "within the time that `Prefer: wait` allows, or the result of an equal request is reused.",
        JSON,
        TaskDocument | BatchDocument,
        examples.TASK,
        [LOCATION, sometimes(CACHE_CONTROL), PREFERENCE_APPLIED, REPLAYED],
        TASK_LINKS | RESULT_LINKS,
    ),
    Answer(
        HTTPStatus.ACCEPTED,
        "The task to follow: a new one, or the one that the name has already (`duplicate`). "
        "Of several pictures, their batch.",
        JSON,
        TaskDocument | BatchDocument,
        examples.WAITING,
        [LOCATION, RETRY_AFTER, sometimes(CACHE_CONTROL), REPLAYED],
        TASK_LINKS,
    ),
    Answer(
        HTTPStatus.SEE_OTHER,
        "To a browser that sends a form (`Accept: text/html`): where the page of the task or the batch is.",
        headers=[LOCATION],
    ),
    errors=[
        MissingImage,
        *FILE_ERRORS,
        InvalidParameter,
        UnknownModel,
        NameConflict,
        QueueFull,
        TooManyUploads,
        StoreFull,
        BatchRefused,
        KeyReused,
        KeyInFlight,
    ],
    parameters=[PREFER, IDEMPOTENCY_KEY],
    form=upload_form,
)
def upscale() -> Response:
    """Send a picture to be upscaled.

    It becomes a task, to be followed; a name that has a current task already is answered with that one, see
    `on_conflict`. Several `image` parts make a batch: the other fields hold for each, and each is taken or refused by
    itself.
    """
    uploads = read_uploads(context().settings)
    with context().upload_places.take() as place:
        if isinstance(uploads, Upload):
            response = answered_once(uploads.digest, lambda: _answer_one(uploads, place))
        else:
            response = answered_once(digest(uploads), lambda: _answer_many(uploads, place))
    return _to_page(response) if prefers_page() else response


# --- One picture ---------------------------------------------------------------------------------


def _answer_one(upload: Upload, place: Place) -> Response:
    taken = take_in(upload)
    place.leave()
    g.task_id = taken.job.id
    job = wait_for_end(taken.job, preferred_wait())
    response = task_response(job, **taken.remarks, **({"detail": _duplicate_detail(job)} if taken.remarks else {}))
    response.headers["Location"] = url_for("tasks.task", task_id=job.id)
    return _accepted(response, is_over=job.status.is_final)


def _duplicate_detail(holder: Job) -> str:
    if holder.status is Status.SUCCESS:
        return f"{holder.name} has been upscaled already. Fetch it from links.result."
    return f"{holder.name} is being processed already. Wait for this task to end."


# --- Several -------------------------------------------------------------------------------------


def _answer_many(uploads: list[Upload | Refusal], place: Place) -> Response:
    """Take each in by itself: what is wrong with one is told in its place, and the others go on."""
    files: list[BatchFile] = []
    jobs: list[Job] = []
    errors: list[ServiceError] = []
    for upload in uploads:
        try:
            if isinstance(upload, Refusal):
                raise upload.error
            taken = take_in(upload)
        except StoreUnavailable:
            raise  # the batch cannot be kept either; sent again, what was taken in before is a duplicate
        except ServiceError as error:
            files.append(BatchFile(upload.name, error=_refusal(error)))
            errors.append(error)
        else:
            files.append(BatchFile(upload.name, taken.job.id, taken.remarks))
            jobs.append(taken.job)
    if not jobs:
        raise _reason(files, errors)
    batch = Batch.new(owner(), files)
    context().store.batches.create(batch)
    place.leave()
    jobs = wait_for_ends(jobs, preferred_wait())
    response = batch_response(batch, jobs)
    response.headers["Location"] = url_for("batches.batch", batch_id=batch.id)
    return _accepted(response, is_over=all(job.status.is_final for job in jobs))


def _reason(files: list[BatchFile], errors: list[ServiceError]) -> ServiceError:
    """Why nothing was taken: for want of room, which may be there later, because of the names, or of the files."""
    for error in errors:
        if isinstance(error, QueueFull | StoreFull):
            return error
    kind = NameConflict if all(isinstance(error, NameConflict) for error in errors) else BatchRefused
    return kind(
        f"None of the {len(files)} pictures can be taken. `files` says why, for each of them.",
        files=[{"name": file.name, **(file.error or {})} for file in files],
    )


def _refusal(error: ServiceError) -> dict[str, Any]:
    """A problem document, to be kept with the batch."""
    return problem(error) | ({"retry_after": error.retry_after} if error.retry_after else {})


def _to_page(response: Response) -> Response:
    """For a browser that sent the form without a script: to the page of the task or batch, in place of its JSON."""
    document = response.get_json()
    if batch_id := document.get("batch_id"):
        page = url_for("pages.batch", batch_id=batch_id)
    else:
        page = url_for("pages.task", task_id=document["task_id"], already=_already(document))
    return cast(Response, redirect(page, HTTPStatus.SEE_OTHER, Response))


def _already(document: dict[str, Any]) -> str | None:
    """Whether the name had a task already, and whether of what was sent now or of something else."""
    if not document.get("duplicate"):
        return None
    return "same" if document["same_image"] and document["same_request"] else "other"


# --- Both ----------------------------------------------------------------------------------------


def _accepted(response: Response, *, is_over: bool) -> Response:
    """200 for what is finished, whether by this request or an earlier one; 202 for what is to be followed."""
    response.status_code = HTTPStatus.OK if is_over else HTTPStatus.ACCEPTED
    if is_over and (seconds := preferred_wait()):
        response.headers["Preference-Applied"] = f"wait={seconds}"
    return response
