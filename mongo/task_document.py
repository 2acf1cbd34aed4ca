"""A job as callers see it: the JSON document that HTTP answers with and that callbacks carry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, cast, overload
from urllib.parse import quote

from pydantic import ConfigDict, Field, GetPydanticSchema, with_config
from typing_extensions import TypedDict

from mongo.jobs import Job, Status, StoredImage
from utils.errors import TASK_ERRORS
from utils.upscale_request import UpscaleRequest

DOCUMENT = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Of every kind of document: it has these members and no others, each described by the text below it."""

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Path = Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Wishes = Annotated[dict[str, Any], GetPydanticSchema(lambda _, handler: handler(UpscaleRequest))]
Format = Literal["PNG", "JPEG", "WEBP"]


@with_config(DOCUMENT)
class ImageDocument(TypedDict):
    """What is known of a picture by its header and bytes."""

    width: Annotated[int, Field(ge=1)]
    """In pixels."""
    height: Annotated[int, Field(ge=1)]
    """In pixels."""
    mode: str
    """Pillow's word for the kind of pixels: L, LA, RGB, RGBA, I;16, P, CMYK…"""
    format: Format
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


@with_config(DOCUMENT)
class TaskError(TypedDict):
    """Why a task failed."""

    code: Annotated[str, Field(json_schema_extra={"enum": [kind.code for kind in TASK_ERRORS]})]
    """Stable; explained at `/docs/errors`."""
    title: str
    detail: str
    """What happened, and what to do."""


@with_config(DOCUMENT)
class TaskLinks(TypedDict):
    """Where there is more; the last three only of a finished task whose picture is still there."""

    self: Path
    events: Path
    result: NotRequired[Path]
    metadata: NotRequired[Path]
    thumbnail: NotRequired[Path]


@with_config(DOCUMENT)
class TaskDocument(TypedDict):
    """A task: one picture to be upscaled, and how it stands."""

    task_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    name: str
    """The picture's name, as `/processed/<name>` knows it."""
    status: Status
    progress: Annotated[float, Field(ge=0, le=1)]
    """The share of the work that is done."""
    position: Annotated[int, Field(ge=1)] | None
    """The place in the queue of a task that waits; 1 is the next."""
    eta: Moment | None
    """When it is thought to be done."""
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None
    """When the result will be deleted."""
    request: Wishes
    """What was asked for."""
    source: ImageDocument
    result: ImageDocument | None
    error: TaskError | None
    """Why it failed."""
    links: TaskLinks
    duplicate: NotRequired[bool]
    """Only in an answer to `POST /upscale`: the name had this task already, so none was made."""
    same_image: NotRequired[bool]
    """With `duplicate`: whether that task's picture has the same bytes."""
    same_request: NotRequired[bool]
    """With `duplicate`: whether that task was asked for in the same way."""
    detail: NotRequired[str]
    """With `duplicate`: what to do."""


@with_config(DOCUMENT)
class CallbackDocument(TypedDict):
    """What a callback tells: the end of a task."""

    type: Literal["task.succeeded", "task.failed", "task.revoked"]
    timestamp: Moment
    """When the task ended."""
    data: TaskDocument


def task_document(job: Job, position: int | None = None, eta: datetime | None = None) -> TaskDocument:
    """The members of a task, ready for JSON.

    Args:
        position: its place in the queue, if it waits.
        eta: when it will be done, if it is not over.
    """
    links: TaskLinks = {"self": f"/tasks/{job.id}", "events": f"/tasks/{job.id}/events"}
    if job.status is Status.SUCCESS and not job.expired:
        result = f"/processed/{quote(job.name)}"
        links |= {"result": result, "metadata": f"{result}/metadata", "thumbnail": f"{result}/thumbnail"}
    return {
        "task_id": job.id,
        "name": job.name,
        "status": job.status,
        "progress": round(job.progress, 3),
        "position": position,
        "eta": rfc3339(eta),
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(job.started_at),
        "finished_at": rfc3339(job.finished_at),
        "expires_at": rfc3339(job.expires_at),
        "request": job.request.model_dump(),
        "source": image_document(job.source),
        "result": image_document(job.result) if job.result else None,
        "error": cast(TaskError | None, job.error),
        "links": links,
    }


@overload
def rfc3339(moment: datetime) -> str: ...
@overload
def rfc3339(moment: datetime | None) -> str | None: ...
def rfc3339(moment: datetime | None) -> str | None:
    """`moment` in UTC with milliseconds, such as 2026-11-20T19:00:00.000Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def image_document(image: StoredImage) -> ImageDocument:
    """What is known of a picture by its header and bytes."""
    return {
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "format": cast(Format, image.format),
        "bytes": image.bytes,
        "sha256": image.sha256,
    }
