"""How a job's state changes, as filters and updates that the store and the sweep share."""

from __future__ import annotations

from mongo.client import Document
from mongo.jobs import Status, error_document
from mongo.server_time import NOW, Expression, not_after
from utils.errors import ServiceError

LEASE_RUN_OUT: Document = {"status": Status.STARTED, "$expr": not_after("lease_until", NOW)}

TRIED: Expression = {"$subtract": ["$attempt", {"$ifNull": ["$handed_back", 0]}]}
"""How often a job was begun, less the times when its worker had to stop before it could be done."""


def ended(status: Status, change: Document) -> list[Document]:
    """The end of a job, now."""
    return [{"$set": {"status": status, "finished_at": NOW, **change}}, {"$unset": "lease_until"}]


def failed(error: ServiceError) -> Document:
    """What a job's failure changes: its name is free, and its upload nobody's."""
    return {"current": False, "source.file_id": None, "error": {"$literal": error_document(error)}}


def waiting_again(change: Document | None = None) -> list[Document]:
    """Back to the queue, unsent."""
    waiting = {"status": Status.PENDING, "progress": 0.0, "sent_at": None}
    return [{"$set": {**waiting, **(change or {})}}, {"$unset": "lease_until"}]


def given_up(change: Document | None = None) -> list[Document]:
    """A finished job loses its result and its name. The bytes go once nobody can be reading them any more."""
    gone = {"expired": True, "current": False, "result.file_id": None, "source.file_id": None}
    return [{"$set": {**gone, **(change or {})}}]
