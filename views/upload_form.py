"""The form of `POST /upscale`: everything that can be said of an upload without decoding it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO, Literal, cast, get_args

from flask import request
from werkzeug.datastructures import FileStorage

from upscaler.catalog import ModelInfo, find_model
from upscaler.sizes import output_size
from utils.callback_url import callback_url
from utils.errors import (
    EmptyImage,
    InvalidParameter,
    MissingImage,
    ServiceError,
    TooManyBytes,
    TooManyPixels,
    UnsupportedFormat,
)
from utils.image_formats.outputs import check_fits
from utils.image_header import ImageHeader, extension_matches, read_header
from utils.settings import Settings
from utils.upscale_request import UpscaleRequest
from views.picture_names import picture_name

OnConflict = Literal["return", "replace", "rename", "reject"]


@dataclass(frozen=True)
class Upload:
    """A picture that passed every check, and what is to be done with it."""

    file: FileStorage
    name: str
    header: ImageHeader
    wishes: UpscaleRequest
    on_conflict: OnConflict
    callback_url: str | None  # where the task's end is to be told

    @property
    def stream(self) -> BinaryIO:
        """The bytes from their start. Werkzeug spools them: in memory while few, else in a nameless file."""
        self.file.stream.seek(0)
        return cast(BinaryIO, self.file.stream)

    @property
    def bytes(self) -> int:
        return self.stream.seek(0, SEEK_END)

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, in hexadecimal."""
        return hashlib.file_digest(self.stream, "sha256").hexdigest()  # type: ignore[arg-type]

    @cached_property
    def digest(self) -> str:
        """Of everything that is asked for: the bytes, the name, the wishes, what to do on a conflict and at the end."""
        asked = [self.sha256, self.name, self.wishes.model_dump_json(), self.on_conflict, self.callback_url or ""]
        return hashlib.sha256("\n".join(asked).encode()).hexdigest()


@dataclass(frozen=True)
class Refusal:
    """A file of a batch that did not pass, and why."""

    file: FileStorage
    error: ServiceError

    @property
    def name(self) -> str:
        """As it was sent."""
        return self.file.filename or ""

    @cached_property
    def digest(self) -> str:
        """Of the bytes and the name."""
        self.file.stream.seek(0)
        sha256 = hashlib.file_digest(self.file.stream, "sha256")  # type: ignore[arg-type]
        sha256.update(self.name.encode("utf-8", "replace"))
        return sha256.hexdigest()


def digest(uploads: Sequence[Upload | Refusal]) -> str:
    """Of everything that is asked for with several uploads."""
    return hashlib.sha256("\n".join(upload.digest for upload in uploads).encode()).hexdigest()


def read_uploads(settings: Settings) -> Upload | list[Upload | Refusal]:
    """The upload of the present request, or its several ones, in their order.

    Of several, one at fault leaves the others alone.

    Raises:
        ServiceError: one of the 4xx kinds, naming the field at fault: another than `image`, or the only picture.
    """
    files, fields = _the_files(), _read_fields(settings)
    if len(files) == 1:
        return _checked(files[0], fields, settings)
    return [_checked_or_refused(file, fields, settings) for file in files]


@dataclass(frozen=True)
class _Fields:
    """All that is asked for beside the pictures."""

    wishes: UpscaleRequest
    model: ModelInfo
    on_conflict: OnConflict
    callback_url: str | None


def _read_fields(settings: Settings) -> _Fields:
    form = request.form.to_dict()
    on_conflict = _on_conflict(form.pop("on_conflict", "") or "return")
    callback = _callback_url(form.pop("callback_url", ""), settings)
    wishes = UpscaleRequest.from_form(form)
    model = find_model(wishes.model or settings.default_model, settings.models_folder)
    if wishes.denoise is not None and not model.can_denoise:
        raise InvalidParameter(f"The model {model.name!r} has no denoise control. Leave it out.", field="denoise")
    return _Fields(wishes.model_copy(update={"model": model.name}), model, on_conflict, callback)


def _checked_or_refused(file: FileStorage, fields: _Fields, settings: Settings) -> Upload | Refusal:
    try:
        return _checked(file, fields, settings)
    except ServiceError as error:
        return Refusal(file, error)


def _checked(file: FileStorage, fields: _Fields, settings: Settings) -> Upload:
    name = picture_name(file.filename or "")
    _check_bytes(file, settings)
    header = _header(file)
    if not extension_matches(name, header.format):
        raise UnsupportedFormat(_extension_advice(name, header.format), field="image")
    _check_pixels(header, fields, settings)
    return Upload(file, name, header, fields.wishes, fields.on_conflict, fields.callback_url)


def _the_files() -> list[FileStorage]:
    if others := request.files.keys() - {"image"}:
        raise InvalidParameter("Files are taken in the field 'image' alone.", field=min(others))
    if files := [file for file in request.files.getlist("image") if file.filename]:
        return files
    if "image" in request.form:
        raise MissingImage(
            "The field 'image' holds text, not a file. With curl: -F image=@photo.jpg (mind the @).", field="image"
        )
    raise MissingImage(
        "Send a PNG or JPEG file as multipart/form-data in the field 'image', with curl: -F image=@photo.jpg",
        field="image",
    )


def _on_conflict(value: str) -> OnConflict:
    if value not in get_args(OnConflict):
        allowed = ", ".join(get_args(OnConflict))
        raise InvalidParameter(f"on_conflict={value!r} is not valid: it can be {allowed}.", field="on_conflict")
    return cast(OnConflict, value)


def _callback_url(value: str, settings: Settings) -> str | None:
    if not value:
        return None
    if not settings.webhook_secret:
        raise InvalidParameter(
            "This service makes no callbacks: its operator has to set WEBHOOK_SECRET first. Leave callback_url out.",
            field="callback_url",
        )
    return callback_url(value, settings.webhook_allow_private)


def _check_bytes(file: FileStorage, settings: Settings) -> None:
    size = file.stream.seek(0, 2)
    file.stream.seek(0)
    if size == 0:
        raise EmptyImage("The file has no bytes. Was it saved completely?", field="image")
    if size > settings.max_upload_bytes:
        limit = settings.max_upload_bytes.human_readable()
        raise TooManyBytes(f"The file has {size} bytes; {limit} are allowed. Send a smaller file.", field="image")


def _header(file: FileStorage) -> ImageHeader:
    try:
        return read_header(cast(BinaryIO, file.stream))
    except ServiceError as error:
        error.field = "image"
        raise


def _extension_advice(name: str, image_format: str) -> str:
    suffix = Path(name).suffix
    fitting = ".png" if image_format == "PNG" else ".jpg"
    says = f"ends in {suffix!r}" if suffix else "has no extension"
    return f"The file is a {image_format}, and its name {says}. Name it {Path(name).stem}{fitting}."


def _check_pixels(header: ImageHeader, fields: _Fields, settings: Settings) -> None:
    pixels = header.width * header.height
    if pixels > settings.max_input_pixels:
        raise TooManyPixels(
            f"The picture is {header.width}x{header.height}, that is {pixels:,} pixels; "
            f"{settings.max_input_pixels:,} are allowed. Send a smaller one.",
            field="image",
        )
    wishes, scale = fields.wishes, fields.model.scale
    width, height = output_size(header.width, header.height, scale, wishes.scale, wishes.width, wishes.height)
    check_fits(width, height, wishes.output_format(header.format))
    if width * height > settings.max_output_pixels:
        raise TooManyPixels(
            f"The result would be {width}x{height}, that is {width * height:,} pixels; "
            f"{settings.max_output_pixels:,} are allowed. Send a smaller picture or ask for a smaller scale.",
            field="image",
        )
