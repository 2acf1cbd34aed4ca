"""Callbacks that are to be delivered: which are due, who is at them, when they are tried again.

A job with a `callback_url` holds its delivery from its first moment, due from then on; but only one that has
ended is looked at. So whatever ends a job, the very write that does so lets its callback go out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pymongo import ASCENDING, ReturnDocument
from pymongo.database import Database

from mongo.client import Document, translated
from mongo.jobs import Status
from mongo.server_time import NOW, from_now, not_after

FINAL = [status for status in Status if status.is_final]

CLAIM = timedelta(minutes=1)
"""How long one try belongs to who took it: longer than any takes. One who was killed at it loses it then."""


@dataclass(frozen=True)
class Delivery:
    """One try at a callback. The number of the try is its fencing token."""

    owner: str
    job_id: str
    url: str
    tries: int  # this one included


class CallbackStore:
    """The deliveries of all owners, each in its job's document as `delivery`: {"due_at", "tries"}.

    `due_at` is missing once nothing more is to be done.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._jobs = database["jobs"]
        self._indexed = False

    @translated
    def claim(self) -> Delivery | None:
        """Take the delivery that has been due for longest; None when there is nothing to deliver."""
        self._ensure_index()
        due = {"delivery.due_at": {"$exists": True}, "$expr": not_after("delivery.due_at", NOW)}
        found = self._jobs.find_one_and_update(
            {"status": {"$in": FINAL}, **due},
            [{"$set": {"delivery.due_at": from_now(CLAIM), "delivery.tries": {"$add": ["$delivery.tries", 1]}}}],
            sort=[("delivery.due_at", ASCENDING)],
            projection={"owner": 1, "callback_url": 1, "delivery": 1},
            return_document=ReturnDocument.AFTER,
        )
        if found is None:
            return None
        return Delivery(found["owner"], found["_id"], found["callback_url"], found["delivery"]["tries"])

    @translated
    def close(self, delivery: Delivery) -> None:
        """Nothing more is to be done: it arrived, it is not wanted, or it was tried for long enough."""
        self._jobs.update_one(_held(delivery), {"$unset": {"delivery.due_at": ""}})

    @translated
    def try_again(self, delivery: Delivery, after: timedelta) -> None:
        """Let it be due again when `after` has gone by."""
        self._jobs.update_one(_held(delivery), [{"$set": {"delivery.due_at": from_now(after)}}])

    def _ensure_index(self) -> None:
        if not self._indexed:
            self._jobs.create_index(
                [("status", ASCENDING), ("delivery.due_at", ASCENDING)],
                name="deliveries",
                partialFilterExpression={"delivery.due_at": {"$exists": True}},
            )
            self._indexed = True


def _held(delivery: Delivery) -> Document:
    """The filter that only the latest try passes; one that took too long changes nothing any more."""
    return {"_id": delivery.job_id, "delivery.tries": delivery.tries}
