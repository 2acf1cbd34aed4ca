"""`POST /upscale`: take a picture in, answer at once with a task."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, cast

import structlog
from flask import Blueprint, Response, g, jsonify, request, url_for
from werkzeug.datastructures import FileStorage

from celery_app import BrokerUnavailable, send_upscale
from mongo.jobs import Job, NameTaken, Status, StoredImage
from upscaler.catalog import find_model
from upscaler.sizes import output_size
from utils.errors import (
    EmptyImage,
    InvalidParameter,
    MissingImage,
    ServiceError,
    TooManyBytes,
    TooManyPixels,
    UnsupportedFormat,
)
from utils.image_header import ImageHeader, extension_matches, read_header
from utils.settings import Settings
from utils.upscale_request import UpscaleRequest
from views.context import context, owner
from views.picture_names import picture_name
from views.tasks import RETRY_AFTER, task_document

blueprint = Blueprint("upscale", __name__)
log = structlog.get_logger()


@dataclass(frozen=True)
class Upload:
    """A picture that passed every check that can be made without decoding it."""

    file: FileStorage
    name: str
    header: ImageHeader
    wishes: UpscaleRequest


@blueprint.post("/upscale")
def upscale() -> Response:
    """Make a task of the picture in the multipart field `image`, or name the task that it has already."""
    upload = _checked_upload(context().settings)
    if holder := context().store.jobs.current(owner(), upload.name):
        return _duplicate(holder, upload)
    try:
        job = _create_job(upload)
    except NameTaken as taken:
        return _duplicate(taken.job, upload)
    _send(job)
    g.task_id = job.id
    return _accepted(job)


def _checked_upload(settings: Settings) -> Upload:
    file = _the_file()
    name = picture_name(file.filename or "")
    wishes = UpscaleRequest.from_form(request.form)
    _check_bytes(file, settings)
    header = _header(file)
    if not extension_matches(name, header.format):
        raise UnsupportedFormat(_extension_advice(name, header.format), field="image")
    _check_pixels(header, _with_defaults(wishes, settings), settings)
    return Upload(file, name, header, _with_defaults(wishes, settings))


def _the_file() -> FileStorage:
    files = [file for file in request.files.getlist("image") if file.filename]
    if len(files) == 1:
        return files[0]
    if files:
        raise InvalidParameter(f"{len(files)} pictures came in the field 'image'. Send one a request.", field="image")
    if "image" in request.form:
        raise MissingImage(
            "The field 'image' holds text, not a file. With curl: -F image=@photo.jpg (mind the @).",
            field="image",
        )
    raise MissingImage(
        "Send a PNG or JPEG file as multipart/form-data in the field 'image', with curl: -F image=@photo.jpg",
        field="image",
    )


def _check_bytes(file: FileStorage, settings: Settings) -> None:
    size = file.stream.seek(0, 2)
    file.stream.seek(0)
    if size == 0:
        raise EmptyImage("The file has no bytes. Was it saved completely?", field="image")
    if size > settings.max_upload_bytes:
        limit = settings.max_upload_bytes.human_readable()
        raise TooManyBytes(f"The file has {size} bytes; {limit} are allowed.", field="image")


def _header(file: FileStorage) -> ImageHeader:
    try:
        return read_header(_stream(file))
    except ServiceError as error:
        error.field = "image"
        raise


def _extension_advice(name: str, image_format: str) -> str:
    suffix = Path(name).suffix
    fitting = ".png" if image_format == "PNG" else ".jpg"
    says = f"ends in {suffix!r}" if suffix else "has no extension"
    return f"The file is a {image_format}, and its name {says}. Name it {Path(name).stem}{fitting}."


def _with_defaults(wishes: UpscaleRequest, settings: Settings) -> UpscaleRequest:
    return wishes.model_copy(update={"model": wishes.model or settings.default_model})


def _check_pixels(header: ImageHeader, wishes: UpscaleRequest, settings: Settings) -> None:
    pixels = header.width * header.height
    if pixels > settings.max_input_pixels:
        raise TooManyPixels(
            f"The picture is {header.width}x{header.height}, that is {pixels:,} pixels; "
            f"{settings.max_input_pixels:,} are allowed. Send a smaller one.",
            field="image",
        )
    model = find_model(str(wishes.model), settings.models_folder)
    if wishes.denoise is not None and not model.can_denoise:
        raise InvalidParameter(f"The model {model.name!r} has no denoise control. Leave it out.", field="denoise")
    width, height = output_size(header.width, header.height, model.scale, wishes.scale, wishes.width, wishes.height)
    if width * height > settings.max_output_pixels:
        raise TooManyPixels(
            f"The result would be {width}x{height}, that is {width * height:,} pixels; "
            f"{settings.max_output_pixels:,} are allowed. Send a smaller picture or ask for a smaller scale.",
            field="image",
        )


def _create_job(upload: Upload) -> Job:
    """Store the bytes, then the job; without the job the bytes go again.

    Raises:
        NameTaken: another request was first.
    """
    store = context().store
    stored = store.uploads.save(_stream(upload.file), upload.name)
    header = upload.header
    source = StoredImage(
        file_id=stored.file_id,
        format=header.format,
        mode=header.mode,
        width=header.width,
        height=header.height,
        bytes=stored.bytes,
        sha256=stored.sha256,
    )
    job = Job.new(owner(), upload.name, upload.wishes, source)
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


def _accepted(job: Job) -> Response:
    response = jsonify(task_document(job))
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = url_for("tasks.task", task_id=job.id)
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def _duplicate(holder: Job, upload: Upload) -> Response:
    """The name has a current task: name it, and say whether it is the same picture and request."""
    g.task_id = holder.id
    document = task_document(holder) | {
        "duplicate": True,
        "same_image": _sha256(upload.file) == holder.source.sha256,
        "same_request": upload.wishes == holder.request,
    }
    response = jsonify(document | {"detail": _duplicate_detail(holder)})
    response.headers["Location"] = url_for("tasks.task", task_id=holder.id)
    if holder.status is not Status.SUCCESS:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def _duplicate_detail(holder: Job) -> str:
    if holder.status is Status.SUCCESS:
        return f"{holder.name} has been upscaled already. Fetch it from links.result."
    return f"{holder.name} is being processed already. Wait for this task to end."


def _sha256(file: FileStorage) -> str:
    file.stream.seek(0)
    return hashlib.file_digest(_stream(file), "sha256").hexdigest()  # type: ignore[arg-type]


def _stream(file: FileStorage) -> BinaryIO:
    """Werkzeug's spooled file: in memory while small, else a temporary file that has no name."""
    return cast(BinaryIO, file.stream)
