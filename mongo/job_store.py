"""What the web and the workers do with jobs: every change of a job's state but the sweep's is in this file.

A job's life: PENDING -> STARTED -> SUCCESS | FAILURE | REVOKED, and back to PENDING when its worker is lost.

Two rules carry the rest. A unique index lets one name of one owner have one *current* job, whatever races.
And the attempt number is a fencing token: a worker's every write names the attempt that it holds and is
refused once the job was handed on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from mongo.client import Announce, Document, brief, translated
from mongo.jobs import (
    Job,
    NameTaken,
    StaleAttempt,
    Status,
    StoredImage,
    error_document,
    from_document,
    image_document,
    to_document,
)
from utils.errors import ServiceError
from utils.upscale_request import UpscaleRequest

LEASE_RUN_OUT: Document = {"status": Status.STARTED, "$expr": {"$lt": ["$lease_until", "$$NOW"]}}

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

    def create(self, job: Job) -> None:
        """Keep a new job.

        Raises:
            NameTaken: the name has a current job already; nothing was kept.
        """
        # Here and not at the start: the web may come up before MongoDB, and without the unique index
        # there is no duplicate rule.
        self.ensure_indexes()
        self._insert(job)

    @brief
    def _insert(self, job: Job) -> None:
        while True:
            try:
                self._jobs.insert_one(to_document(job))
            except DuplicateKeyError:
                if holder := self.current(job.owner, job.name):
                    raise NameTaken(holder) from None
                # The holder ended between the insert and the look: the name is free now.
            else:
                self._announce(job.owner, job.id)
                return

    @brief
    def get(self, owner: str, job_id: str) -> Job | None:
        return from_document(self._jobs.find_one({"_id": job_id, "owner": owner}))

    @brief
    def current(self, owner: str, name: str) -> Job | None:
        """The one job of that name that waits, runs or has a result to fetch."""
        return from_document(self._jobs.find_one({"owner": owner, "name": name, "current": True}))

    @brief
    def latest(self, owner: str, name: str) -> Job | None:
        """The current job of that name, else the last one that ended without a result to fetch."""
        return self.current(owner, name) or from_document(
            self._jobs.find_one({"owner": owner, "name": name}, sort=[("created_at", DESCENDING)])
        )

    @brief
    def finished_like(self, owner: str, sha256: str, request: UpscaleRequest) -> Job | None:
        """A job whose result is just what the same bytes and wishes would make again."""
        wanted = {"owner": owner, "source.sha256": sha256, "request": request.model_dump()}
        still_there = {"status": Status.SUCCESS, "current": True, "expires_at": {"$gt": datetime.now(UTC)}}
        return from_document(self._jobs.find_one({**wanted, **still_there}))

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
        return [job for document in found if (job := from_document(document))]

    @brief
    def many(self, job_ids: Collection[str]) -> list[Job]:
        """Those of the jobs that there are, of whatever owner, in any order."""
        found = self._jobs.find({"_id": {"$in": list(job_ids)}})
        return [job for document in found if (job := from_document(document))]

    @brief
    def running(self, owner: str) -> list[Job]:
        """The owner's jobs that wait or run, oldest first."""
        waiting = {"owner": owner, "status": {"$in": [Status.PENDING, Status.STARTED]}}
        found = self._jobs.find(waiting, sort=[("created_at", ASCENDING)])
        return [job for document in found if (job := from_document(document))]

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
        return self._announced(from_document(found))

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
        return self._announced(from_document(found))

    @translated
    def heartbeat(self, job: Job, progress: float) -> None:
        """Renew the lease and store the progress (0..1).

        Raises:
            StaleAttempt: the job was cancelled, or is no longer this worker's.
        """
        renewed = self._jobs.update_one(
            _held(job),
            [{"$set": {"lease_until": {"$add": ["$$NOW", self._lease_ms]}, "progress": progress}}],
        )
        if renewed.matched_count == 0:
            raise StaleAttempt(job.id)
        self._announce(job.owner, job.id)

    def succeed(self, job: Job, result: StoredImage, keep: timedelta) -> None:
        """Make the result visible, for as long as `keep`.

        Raises:
            StaleAttempt: the job is no longer this worker's; the result is nobody's.
        """
        now = datetime.now(UTC)
        change = {"progress": 1.0, "result": image_document(result), "expires_at": now + keep}
        self._finish(job, Status.SUCCESS, now, change)

    def fail(self, job: Job, error: ServiceError) -> None:
        """End the job with the error's code and sentence, and free its name.

        Raises:
            StaleAttempt: the job is no longer this worker's.
        """
        change = {"current": False, "error": error_document(error)}
        self._finish(job, Status.FAILURE, datetime.now(UTC), change)

    @translated
    def _finish(self, job: Job, status: Status, now: datetime, change: Document) -> None:
        update = {
            "$set": {"status": status, "finished_at": now, "source.file_id": None, **change},
            "$unset": {"lease_until": ""},
        }
        if self._jobs.update_one(_held(job), update).matched_count == 0:
            raise StaleAttempt(job.id)
        self._announce(job.owner, job.id)

    def _announced(self, job: Job | None) -> Job | None:
        if job:
            self._announce(job.owner, job.id)
        return job

    @translated
    def ensure_indexes(self) -> None:
        """Make the indexes, once a process. On a new server with much to do that is no brief matter."""
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
