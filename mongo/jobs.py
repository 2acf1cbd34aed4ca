"""Jobs: what was asked for, how far it is, how it ended. Every change of a job's state is in this file.

A job's life: PENDING -> STARTED -> SUCCESS | FAILURE | REVOKED, and back to PENDING when its worker is lost.

Two rules carry the rest. A unique index lets one name of one owner have one *current* job, whatever races.
And the attempt number is a fencing token: a worker's every write names the attempt that it holds and is
refused once the job was handed on.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from mongo.client import Announce, Document, brief, translated
from utils.errors import ServiceError, WorkerLost
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


LEASE_RUN_OUT: Document = {"status": Status.STARTED, "$expr": {"$lt": ["$lease_until", "$$NOW"]}}


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
    attempt: int = 0
    progress: float = 0.0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    expired: bool = False
    result: StoredImage | None = None
    error: Mapping[str, Any] | None = None  # {"code", "title", "detail"}
    cancel_requested: bool = False
    callback_url: str | None = None  # where its end is to be told

    @classmethod
    def new(
        cls, owner: str, name: str, request: UpscaleRequest, source: StoredImage, callback_url: str | None = None
    ) -> Job:
        """A job that nobody has begun, with an id of its own."""
        now = datetime.now(UTC)
        return cls(str(uuid.uuid4()), owner, name, request, source, created_at=now, callback_url=callback_url)

    def copy_for(self, name: str, keep: timedelta, callback_url: str | None = None) -> Job:
        """This finished job's result under another name, as a job that was finished at once."""
        now = datetime.now(UTC)
        return replace(
            self,
            id=str(uuid.uuid4()),
            name=name,
            attempt=0,
            created_at=now,
            started_at=now,
            finished_at=now,
            expires_at=now + keep,
            callback_url=callback_url,
        )


class NameTaken(Exception):  # noqa: N818 - an answer more than an error
    """Another current job has the name. Carries it as `job`."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.name)
        self.job = job


class StaleAttempt(Exception):  # noqa: N818
    """The job was handed on, cancelled or finished elsewhere: what this worker holds is worth nothing."""


FIRST_GUESS = 2.0  # s a job, before any was measured


@dataclass(frozen=True)
class Pace:
    """How fast jobs are made: seconds each, and how many at once."""

    seconds_each: float
    at_once: int


Position = tuple[datetime, str]
"""A place in the list of jobs, newest first: a job's created_at and id."""


class JobStore:
    """The jobs of all owners.

    All times of leases are MongoDB's own (`$$NOW`), so clocks of workers that differ do no harm.
    """

    def __init__(
        self, database: Database[Document], *, lease_seconds: int, max_attempts: int, announce: Announce
    ) -> None:
        self._jobs = database["jobs"]
        self._announce = announce
        self._lease_ms = lease_seconds * 1000
        self._max_attempts = max_attempts
        self._indexed = False

    # --- What the web does ----------------------------------------------------------------------

    @brief
    def create(self, job: Job) -> None:
        """Keep a new job.

        Raises:
            NameTaken: the name has a current job already; nothing was kept.
        """
        # Here and not at the start: the web may come up before MongoDB, and without the unique index
        # there is no duplicate rule.
        self._ensure_indexes()
        while True:
            try:
                self._jobs.insert_one(_to_document(job))
            except DuplicateKeyError:
                if holder := self.current(job.owner, job.name):
                    raise NameTaken(holder) from None
                # The holder ended between the insert and the look: the name is free now.
            else:
                self._announce(job.owner, job.id)
                return

    @brief
    def get(self, owner: str, job_id: str) -> Job | None:
        return _from_document(self._jobs.find_one({"_id": job_id, "owner": owner}))

    @brief
    def current(self, owner: str, name: str) -> Job | None:
        """The one job of that name that waits, runs or has a result to fetch."""
        return _from_document(self._jobs.find_one({"owner": owner, "name": name, "current": True}))

    @brief
    def latest(self, owner: str, name: str) -> Job | None:
        """The current job of that name, else the last one that ended without a result to fetch."""
        return self.current(owner, name) or _from_document(
            self._jobs.find_one({"owner": owner, "name": name}, sort=[("created_at", DESCENDING)])
        )

    @brief
    def finished_like(self, owner: str, sha256: str, request: UpscaleRequest) -> Job | None:
        """A job whose result is just what the same bytes and wishes would make again."""
        wanted = {"owner": owner, "source.sha256": sha256, "request": request.model_dump()}
        still_there = {"status": Status.SUCCESS, "current": True, "expires_at": {"$gt": datetime.now(UTC)}}
        return _from_document(self._jobs.find_one({**wanted, **still_there}))

    @brief
    def newest(self, owner: str, wanted: Mapping[str, str], limit: int, before: Position | None) -> list[Job]:
        """Jobs of the owner, newest first.

        Args:
            wanted: `status` and `name` that they must have.
            limit: how many at most.
            before: where the page before ended.
        """
        query: Document = {"owner": owner, **wanted}
        if before:
            created_at, job_id = before
            query["$or"] = [{"created_at": {"$lt": created_at}}, {"created_at": created_at, "_id": {"$lt": job_id}}]
        found = self._jobs.find(query, sort=[("created_at", DESCENDING), ("_id", DESCENDING)], limit=limit)
        return [job for document in found if (job := _from_document(document))]

    @brief
    def many(self, job_ids: Collection[str]) -> list[Job]:
        """Those of the jobs that there are, of whatever owner, in any order."""
        found = self._jobs.find({"_id": {"$in": list(job_ids)}})
        return [job for document in found if (job := _from_document(document))]

    @brief
    def running(self, owner: str) -> list[Job]:
        """The owner's jobs that wait or run, oldest first."""
        waiting = {"owner": owner, "status": {"$in": [Status.PENDING, Status.STARTED]}}
        found = self._jobs.find(waiting, sort=[("created_at", ASCENDING)])
        return [job for document in found if (job := _from_document(document))]

    @brief
    def ahead_of(self, job: Job) -> int:
        """How many jobs of all owners wait longer than this one."""
        return self._jobs.count_documents({"status": Status.PENDING, "created_at": {"$lt": job.created_at}})

    @brief
    def waiting(self) -> int:
        """How many jobs of all owners wait."""
        return self._jobs.count_documents({"status": Status.PENDING})

    @brief
    def pace(self, sample: int = 20) -> Pace:
        """How fast jobs have been made of late."""
        recent = self._jobs.find(
            {"status": Status.SUCCESS, "attempt": {"$gt": 0}},
            {"started_at": 1, "finished_at": 1},
            sort=[("created_at", DESCENDING)],
            limit=sample,
        )
        seconds = [(job["finished_at"] - job["started_at"]).total_seconds() for job in recent]
        running = self._jobs.count_documents({"status": Status.STARTED})
        return Pace(sum(seconds) / len(seconds) if seconds else FIRST_GUESS, max(1, running))

    @brief
    def cancel(self, owner: str, job_id: str) -> Job | None:
        """End a job that waits or runs, and free its name; None if there is no such job, or it is over.

        A worker that has it learns so from its next heartbeat, and stops at the next tile.
        """
        waiting = {"_id": job_id, "owner": owner, "status": {"$in": [Status.PENDING, Status.STARTED]}}
        change = {
            "$set": {
                "status": Status.REVOKED,
                "current": False,
                "finished_at": datetime.now(UTC),
                "source.file_id": None,
            },
            "$unset": {"lease_until": ""},
        }
        found = self._jobs.find_one_and_update(waiting, change, return_document=ReturnDocument.AFTER)
        return self._announced(_from_document(found))

    @brief
    def let_go(self, job: Job) -> bool:
        """Give up a finished job's result and free its name. False if somebody was faster.

        The bytes go by the sweep, once nobody can be reading them any more.
        """
        finished = {"_id": job.id, "status": Status.SUCCESS, "expired": False}
        change = {"expired": True, "current": False, "result.file_id": None, "expires_at": datetime.now(UTC)}
        return self._jobs.update_one(finished, {"$set": change}).modified_count == 1

    def release(self, job: Job) -> None:
        """Free the name of a current job, whatever its state: cancel it or let its result go."""
        if not self.cancel(job.owner, job.id):
            self.let_go(job)

    @brief
    def mark_sent(self, job_id: str) -> None:
        """Note that a worker was told of the job just now."""
        self._jobs.update_one({"_id": job_id}, [{"$set": {"sent_at": "$$NOW"}}])

    # --- What a worker does ---------------------------------------------------------------------

    @translated
    def claim(self, job_id: str) -> Job | None:
        """Take a waiting job, or one whose lease has run out; None when there is nothing to take.

        One atomic update, so that a message delivered twice is harmless. The attempt is counted before
        anything is done with the picture, so that one that kills its worker cannot go round for ever.
        """
        found = self._jobs.find_one_and_update(
            {
                "_id": job_id,
                "$or": [
                    {"status": Status.PENDING},
                    {**LEASE_RUN_OUT, "attempt": {"$lt": self._max_attempts}},
                ],
            },
            [
                {
                    "$set": {
                        "status": Status.STARTED,
                        "attempt": {"$add": ["$attempt", 1]},
                        "started_at": "$$NOW",
                        "lease_until": {"$add": ["$$NOW", self._lease_ms]},
                        "progress": 0.0,
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
        )
        return self._announced(_from_document(found))

    @translated
    def heartbeat(self, job: Job, progress: float) -> bool:
        """Renew the lease and store the progress (0..1). True if the job is to be stopped.

        Raises:
            StaleAttempt: the job is no longer this worker's.
        """
        found = self._jobs.find_one_and_update(
            _held(job),
            [{"$set": {"lease_until": {"$add": ["$$NOW", self._lease_ms]}, "progress": progress}}],
            projection={"cancel_requested": 1},
        )
        if found is None:
            raise StaleAttempt(job.id)
        self._announce(job.owner, job.id)
        return bool(found["cancel_requested"])

    def succeed(self, job: Job, result: StoredImage, keep: timedelta) -> None:
        """Make the result visible, for as long as `keep`.

        Raises:
            StaleAttempt: the job is no longer this worker's; the result is nobody's.
        """
        now = datetime.now(UTC)
        change = {"progress": 1.0, "result": _image_document(result), "expires_at": now + keep}
        self._finish(job, Status.SUCCESS, now, change)

    def fail(self, job: Job, error: ServiceError) -> None:
        """End the job with the error's code and sentence, and free its name.

        Raises:
            StaleAttempt: the job is no longer this worker's.
        """
        change = {"current": False, "error": error_document(error)}
        self._finish(job, Status.FAILURE, datetime.now(UTC), change)

    def revoke(self, job: Job) -> None:
        """End a job that was to be stopped, and free its name.

        Raises:
            StaleAttempt: the job is no longer this worker's.
        """
        self._finish(job, Status.REVOKED, datetime.now(UTC), {"current": False})

    @translated
    def _finish(self, job: Job, status: Status, now: datetime, change: Document) -> None:
        update = {
            "$set": {"status": status, "finished_at": now, "source.file_id": None, **change},
            "$unset": {"lease_until": ""},
        }
        if self._jobs.update_one(_held(job), update).matched_count == 0:
            raise StaleAttempt(job.id)
        self._announce(job.owner, job.id)

    # --- What the sweep does --------------------------------------------------------------------

    @translated
    def hand_on_lost(self) -> int:
        """Put the jobs of silent workers back into the queue; those tried too often fail. How many."""
        error = WorkerLost(
            f"The worker vanished {self._max_attempts} times over this picture. Perhaps it takes more memory "
            "than there is: try a smaller one."
        )
        given_up = self._jobs.update_many(
            {**LEASE_RUN_OUT, "attempt": {"$gte": self._max_attempts}},
            {
                "$set": {
                    "status": Status.FAILURE,
                    "finished_at": datetime.now(UTC),
                    "source.file_id": None,
                    "current": False,
                    "error": error_document(error),
                },
                "$unset": {"lease_until": ""},
            },
        )
        handed_on = self._jobs.update_many(
            {**LEASE_RUN_OUT, "attempt": {"$lt": self._max_attempts}},
            {
                "$set": {"status": Status.PENDING, "progress": 0.0, "sent_at": None},
                "$unset": {"lease_until": ""},
            },
        )
        return given_up.modified_count + handed_on.modified_count

    @translated
    def unsent(self, queue_length: int, patience: timedelta = timedelta(seconds=10)) -> list[str]:
        """Ids of the waiting jobs that no message in Redis stands for, oldest first.

        Args:
            queue_length: messages in the queue. Fewer than there are waiting jobs that were sent means that
                some were lost: then all that were sent longer ago than `patience` are sent again, for a
                message too many does no harm.
            patience: how long the process that made the job, or the worker that got it, may take.
        """
        before = datetime.now(UTC) - patience
        waiting = {"status": Status.PENDING}
        never_sent = {"sent_at": None, "created_at": {"$lt": before}}
        choice: list[Document] = [never_sent]
        if queue_length < self._jobs.count_documents({**waiting, "sent_at": {"$ne": None}}):
            choice.append({"sent_at": {"$lt": before}})
        found = self._jobs.find({**waiting, "$or": choice}, {"_id": 1}, sort=[("created_at", ASCENDING)])
        return [job["_id"] for job in found]

    @translated
    def expire(self, now: datetime | None = None) -> int:
        """Let go of the results whose time is over, and free their names. How many."""
        over = {"status": Status.SUCCESS, "expired": False, "expires_at": {"$lt": now or datetime.now(UTC)}}
        change = {"$set": {"expired": True, "current": False, "result.file_id": None}}
        return self._jobs.update_many(over, change).modified_count

    @translated
    def forget(self, older_than: timedelta, now: datetime | None = None) -> int:
        """Delete the jobs that ended, or whose result expired, longer ago than `older_than`. How many."""
        before = (now or datetime.now(UTC)) - older_than
        ended = {"current": False, "finished_at": {"$lt": before}}
        still_known = {"$or": [{"expires_at": None}, {"expires_at": {"$lt": before}}]}
        return self._jobs.delete_many({**ended, **still_known}).deleted_count

    @translated
    def owned_uploads(self) -> set[ObjectId]:
        return self._file_ids("source")

    @translated
    def owned_results(self) -> set[ObjectId]:
        return self._file_ids("result")

    def _file_ids(self, image: str) -> set[ObjectId]:
        # Not `distinct`, whose answer is one document, and so full with half a million ids.
        found = self._jobs.find({f"{image}.file_id": {"$ne": None}}, {f"{image}.file_id": 1})
        return {job[image]["file_id"] for job in found}

    def _announced(self, job: Job | None) -> Job | None:
        if job:
            self._announce(job.owner, job.id)
        return job

    def _ensure_indexes(self) -> None:
        if self._indexed:
            return
        self._jobs.create_indexes(
            [
                IndexModel(
                    [("owner", ASCENDING), ("name", ASCENDING)],
                    name="one_current_job_a_name",
                    unique=True,
                    partialFilterExpression={"current": True},
                ),
                IndexModel([("owner", ASCENDING), ("name", ASCENDING), ("created_at", DESCENDING)], name="history"),
                IndexModel([("status", ASCENDING), ("created_at", ASCENDING)], name="queue"),
                IndexModel([("owner", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="list"),
                IndexModel(
                    [("owner", ASCENDING), ("source.sha256", ASCENDING)],
                    name="finished_like",
                    partialFilterExpression={"current": True},
                ),
            ]
        )
        self._indexed = True


def _held(job: Job) -> Document:
    """The filter that only the worker of this very attempt passes."""
    return {"_id": job.id, "status": Status.STARTED, "attempt": job.attempt}


def error_document(error: ServiceError) -> Document:
    """`error` as it is kept and told of a task."""
    return {"code": error.code, "title": error.title, "detail": error.detail}


def _image_document(image: StoredImage) -> Document:
    return dict(vars(image))


def _to_document(job: Job) -> Document:
    document = dict(vars(job))
    document["_id"] = document.pop("id")
    document["request"] = job.request.model_dump()
    document["source"] = _image_document(job.source)
    document["result"] = _image_document(job.result) if job.result else None
    # Due from the start, but not before the job has ended: see mongo/callbacks.py.
    delivery = {"due_at": job.created_at, "tries": 0} if job.callback_url else None
    return document | {"current": True, "sent_at": None, "delivery": delivery}


def _from_document(document: Document | None) -> Job | None:
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
        cancel_requested=document["cancel_requested"],
        callback_url=document.get("callback_url"),
    )
