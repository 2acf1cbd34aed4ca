"""Jobs as data: what was asked for, how far it is, how it ended; and their documents in MongoDB."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, overload

from bson import ObjectId

from mongo.client import Document
from utils.errors import ServiceError
from utils.upscale_request import UpscaleRequest

DEFAULT_OWNER = "everyone"
"""Without accounts there is one owner. It is part of every key and query, so that there can be more."""


class Status(StrEnum):
    """A job's state, in Celery's words."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"

    @property
    def is_final(self) -> bool:
        return self not in (Status.PENDING, Status.STARTED)


@dataclass(frozen=True)
class StoredImage:
    """What is known of a picture in the store. `file_id` is None once its bytes were let go."""

    file_id: ObjectId | None
    format: str  # PNG, JPEG or WEBP
    mode: str  # Pillow's word: L, LA, RGB, RGBA, I;16, P, CMYK...
    width: int  # px
    height: int  # px
    bytes: int
    sha256: str  # hexadecimal


@dataclass(frozen=True)
class Job:
    """One picture to be upscaled, as it stands in MongoDB."""

    id: str
    owner: str
    name: str
    request: UpscaleRequest
    source: StoredImage
    created_at: datetime
    status: Status = Status.PENDING
    attempt: int = 0  # how often it was claimed, which makes it a fencing token
    progress: float = 0.0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    expired: bool = False
    result: StoredImage | None = None
    error: Mapping[str, Any] | None = None  # {"code", "title", "detail"}
    callback_url: str | None = None  # where its end is to be told
    request_id: str | None = None  # of the HTTP request that it came with, for log lines

    @classmethod
    def new(
        cls,
        owner: str,
        name: str,
        request: UpscaleRequest,
        source: StoredImage,
        callback_url: str | None = None,
        request_id: str | None = None,
    ) -> Job:
        """A job that nobody has begun, with an id of its own. The store puts its own time for this machine's."""
        now = datetime.now(UTC)
        return cls(
            *(str(uuid.uuid4()), owner, name, request, source),
            created_at=now,
            callback_url=callback_url,
            request_id=request_id,
        )

    def copy_for(self, name: str, callback_url: str | None = None, request_id: str | None = None) -> Job:
        """This finished job's result under another name, as a job that is finished at once: when it is created."""
        return replace(
            self, id=str(uuid.uuid4()), name=name, attempt=0, callback_url=callback_url, request_id=request_id
        )


class NameTaken(Exception):  # noqa: N818 - an answer more than an error
    """Another current job has the name. Carries it as `job`."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.name)
        self.job = job


class StaleAttempt(Exception):  # noqa: N818
    """The job was handed on, cancelled or finished elsewhere: what this worker holds is worth nothing."""


def error_document(error: ServiceError) -> Document:
    """`error` as it is kept and told of a task."""
    return {"code": error.code, "title": error.title, "detail": error.detail}


def image_document(image: StoredImage) -> Document:
    """A picture's facts as part of a job's document."""
    return dict(vars(image))


def to_document(job: Job) -> Document:
    """A new job's document: its fields, and those that the stores alone look at."""
    document = dict(vars(job))
    document["_id"] = document.pop("id")
    document["request"] = job.request.model_dump()
    document["source"] = image_document(job.source)
    document["result"] = image_document(job.result) if job.result else None
    return document | {"current": True, "sent_at": None, "handed_back": 0, "delivery": None}


@overload
def from_document(document: Document) -> Job: ...


@overload
def from_document(document: None) -> None: ...


def from_document(document: Document | None) -> Job | None:
    """The job of a document that was found, or None for none."""
    if document is None:
        return None
    result = document["result"]
    return Job(
        id=document["_id"],
        owner=document["owner"],
        name=document["name"],
        request=UpscaleRequest(**document["request"]),
        source=StoredImage(**document["source"]),
        created_at=document["created_at"],
        status=Status(document["status"]),
        attempt=document["attempt"],
        progress=document["progress"],
        started_at=document["started_at"],
        finished_at=document["finished_at"],
        expires_at=document["expires_at"],
        expired=document["expired"],
        result=StoredImage(**result) if result else None,
        error=document["error"],
        callback_url=document.get("callback_url"),
        request_id=document.get("request_id"),
    )
