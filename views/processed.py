"""`/processed/<name>`: the finished picture's bytes, streamed from the store, and their deletion."""

from __future__ import annotations

import base64
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from bson import ObjectId
from flask import Blueprint, Response, g, request
from gridfs import GridOut
from werkzeug.wsgi import FileWrapper

from mongo.jobs import Job, Status, StoredImage
from utils.errors import Expired, NotReady, ProcessingFailed, RangeNotSatisfiable, ServiceError, UnknownName
from views.answers import no_content
from views.context import context, owner
from views.openapi import headers
from views.openapi.operations import Answer, Parameter, operation
from views.picture_names import canonical
from views.streaming import BLOCK_BYTES, begun

blueprint = Blueprint("processed", __name__)

EXTENSIONS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "WEBP": (".webp",)}

ABSENCES = (UnknownName, NotReady, ProcessingFailed, Expired)
"""Why there may be no picture."""

VALIDATORS = [headers.ETAG, headers.REVALIDATED]
NOT_MODIFIED = Answer(HTTPStatus.NOT_MODIFIED, "The caller has it already.", headers=VALIDATORS)
IF_NONE_MATCH = Parameter("If-None-Match", "header", "The `ETag` that the caller has.", {"type": "string"})

PICTURE_HEADERS = [
    *VALIDATORS,
    headers.LAST_MODIFIED,
    headers.ACCEPT_RANGES,
    headers.CONTENT_LENGTH,
    headers.CONTENT_DISPOSITION,
    headers.REPR_DIGEST,
    headers.NOSNIFF,
]
PICTURE = {"type": "string", "format": "binary"}


@blueprint.get("/processed/<name>")
@operation(
    "get_result",
    "Results",
    Answer(HTTPStatus.OK, "The picture.", "image/*", PICTURE, headers=PICTURE_HEADERS),
    Answer(
        HTTPStatus.PARTIAL_CONTENT,
        "The part that was asked for.",
        "image/*",
        PICTURE,
        headers=[*PICTURE_HEADERS, headers.CONTENT_RANGE],
    ),
    NOT_MODIFIED,
    errors=[*ABSENCES, RangeNotSatisfiable],
    parameters=[
        IF_NONE_MATCH,
        Parameter("Range", "header", "One part of the picture (RFC 9110, 14.2).", {"type": "string"}, "bytes=0-1023"),
    ],
    head=True,
)
def processed(name: str) -> Response:
    """The picture that was made under a name, whole or a part of it."""
    job, result, file_id = finished(name)
    file = context().store.results.open(file_id)
    if file is None:
        raise absence(job)
    return _stream(job, result, file)


@blueprint.delete("/processed/<name>")
@operation("delete_result", "Results", Answer(HTTPStatus.NO_CONTENT, "It is gone."), errors=ABSENCES)
def delete(name: str) -> Response:
    """Delete a finished picture; its name is free at once."""
    job = _latest(name)
    if not context().store.jobs.let_go(job):
        raise absence(job)
    return no_content()


def _latest(name: str) -> Job:
    job = context().store.jobs.latest(owner(), canonical(name))
    if job is None:
        raise UnknownName(f"No picture called {name!r} was uploaded. Send it to POST /upscale first.")
    g.task_id = job.id
    return job


def finished(name: str) -> tuple[Job, StoredImage, ObjectId]:
    """The task that made the picture called `name`, its result, and the id of the result's file.

    Raises:
        UnknownName, NotReady, ProcessingFailed, Expired: why there is none.
    """
    job = _latest(name)
    return job, *result_of(job)


def result_of(job: Job) -> tuple[StoredImage, ObjectId]:
    """The job's result and the id of its file.

    Raises:
        NotReady, ProcessingFailed, Expired: why there is none.
    """
    if job.status is not Status.SUCCESS or job.result is None or job.result.file_id is None:
        raise absence(job)
    return job.result, job.result.file_id


def absence(job: Job) -> ServiceError:
    """Why there is no picture of this task to fetch: NotReady, ProcessingFailed or Expired."""
    if not job.status.is_final:
        return NotReady(
            f"{job.name} is still being made. Follow its task.",
            retry_after=context().estimator.of(job).retry_after,
            task_id=job.id,
            progress=round(job.progress, 3),
        )
    if job.status is Status.SUCCESS:
        return Expired(f"{job.name} was made and has been deleted since. Send the picture again.", task_id=job.id)
    reason = job.error["detail"] if job.error else "The task was cancelled."
    return ProcessingFailed(f"{job.name} could not be made. {reason}", task_id=job.id)


def _stream(job: Job, result: StoredImage, file: GridOut) -> Response:
    response = Response(
        # Werkzeug's own and not the server's wrapper, which would read up to the range instead of seeking.
        FileWrapper(file, BLOCK_BYTES),
        mimetype=f"image/{result.format.lower()}",
        direct_passthrough=True,
    )
    response.content_length = result.bytes
    response.set_etag(result.sha256)
    response.last_modified = job.finished_at
    response.headers["Cache-Control"] = "private, no-cache"  # the same name may hold another picture one day
    response.headers["Content-Disposition"] = _disposition(download_name(job.name, result.format))
    response.headers["Repr-Digest"] = _digest(result.sha256)  # RFC 9530: of the whole, also on a part
    response.make_conditional(request.environ, accept_ranges=_wants_one_part(), complete_length=result.bytes)
    response.accept_ranges = "bytes"
    has_body = request.method != "HEAD" and response.status_code != HTTPStatus.NOT_MODIFIED
    return begun(response) if has_body else response


def _digest(sha256: str) -> str:
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _wants_one_part() -> bool:
    """Whether Range is to be heeded: by a GET, for a single range of bytes.

    Any other is ignored, as RFC 9110 (14.2) demands or allows, and the whole picture is sent.
    """
    wanted = request.range
    return request.method == "GET" and wanted is not None and wanted.units == "bytes" and len(wanted.ranges) == 1


def download_name(name: str, image_format: str) -> str:
    """The name to save a result under: the picture's own, with an extension that fits the result."""
    fitting = EXTENSIONS[image_format]
    path = Path(name)
    return name if path.suffix.lower() in fitting else f"{path.stem}{fitting[0]}"


def _disposition(name: str) -> str:
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
