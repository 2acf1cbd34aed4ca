"""What the web and the workers do with jobs: every change of a job's state but the sweep's is in this file.

A job's life: PENDING -> STARTED -> SUCCESS | FAILURE | REVOKED, and back to PENDING when its worker is lost.

Two rules carry the rest. A unique index lets one name of one owner have one *current* job, whatever races.
And the attempt number is a fencing token: a worker's every write names the attempt that it holds and is
refused once the job was handed on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from mongo.client import Announce, Document, brief, translated
from mongo.job_updates import LEASE_RUN_OUT, TRIED, ended, failed, given_up, waiting_again
from mongo.jobs import (
    Job,
    NameTaken,
    StaleAttempt,
    Status,
    StoredImage,
    from_document,
    image_document,
    to_document,
)
from mongo.server_time import NOW, from_now
from utils.errors import ServiceError
from utils.upscale_request import UpscaleRequest

INDEXES = [
    IndexModel(
        [("owner", ASCENDING), ("name", ASCENDING)],
        name="one_current_job_a_name",
        unique=True,
        partialFilterExpression={"current": True},
    ),
    IndexModel([("owner", ASCENDING), ("name", ASCENDING), ("created_at", DESCENDING)], name="history"),
    IndexModel([("status", ASCENDING), ("created_at", ASCENDING)], name="queue"),
    IndexModel([("status", ASCENDING), ("request.model", ASCENDING)], name="census"),
    IndexModel([("owner", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="list"),
    IndexModel(
        [("owner", ASCENDING), ("source.sha256", ASCENDING)],
        name="finished_like",
        partialFilterExpression={"current": True},
    ),
    IndexModel(
        [("expires_at", ASCENDING)],
        name="not_yet_expired",
        partialFilterExpression={"status": Status.SUCCESS, "expired": False},
    ),
]

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

    All times are MongoDB's own (`mongo/server_time.py`), so machines' clocks that differ do no harm.

    Args:
        lease: how long a job belongs to a worker that gives no sign of life.
        max_attempts: how often a job is begun.
        keep_sources: whether an upload is kept as long as what was made of it.
        announce: is told of every change.
    """

    def __init__(
        self,
        database: Database[Document],
        *,
        lease: timedelta,
        max_attempts: int,
        keep_sources: bool,
        announce: Announce,
    ) -> None:
        self._jobs = database["jobs"]
        self._announce = announce
        self._lease = lease
        self._max_attempts = max_attempts
        self._keep_sources = keep_sources
        self._indexed = False

    # --- What the web does ----------------------------------------------------------------------

    def create(self, job: Job) -> Job:
        """Keep a new job. As it is kept, with the store's time.

        Raises:
            NameTaken: the name has a current job already; nothing was kept.
        """
        return self._create(job, {})

    def create_finished(self, job: Job, keep: timedelta) -> Job:
        """Keep a job that has its result already, for as long as `keep`; otherwise as `create`."""
        return self._create(job, {"started_at": NOW, "finished_at": NOW, "expires_at": from_now(keep)})

    def _create(self, job: Job, times: Document) -> Job:
        # Here and not at the start: the web may come up before MongoDB, and without the unique index
        # there is no duplicate rule.
        self.ensure_indexes()
        times = {"created_at": NOW, **times}
        if job.callback_url:
            # Due from the start, but not before the job has ended: see mongo/callbacks.py.
            times["delivery"] = {"due_at": NOW, "tries": 0}
        return self._insert(job, times)

    @brief
    def _insert(self, job: Job, times: Document) -> Job:
        # An update and not an insert, which cannot name the server's time.
        new = {"$mergeObjects": [{"$literal": to_document(job)}, times]}
        while True:
            try:
                found = self._jobs.find_one_and_update(
                    {"_id": job.id}, [{"$replaceWith": new}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:
                if holder := self.current(job.owner, job.name):
                    raise NameTaken(holder) from None
                # The holder ended between the insert and the look: the name is free now.
            else:
                self._announce(job.owner, job.id)
                return from_document(cast(Document, found))  # an upsert always finds one

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
        still_there = {"status": Status.SUCCESS, "current": True, "$expr": {"$gt": ["$expires_at", NOW]}}
        return from_document(self._jobs.find_one({**wanted, **still_there}))

    @brief
    def newest(self, owner: str, wanted: Mapping[str, str], limit: int, before: Position | None) -> list[Job]:
        """Jobs of the owner, newest first.

        Args:
            wanted: `status` and `name` that they must have.
            limit: how many at most.
            before: where the page before ended.
        """
        return self._list({"owner": owner, **wanted}, limit, before)

    @brief
    def shown(self, owner: str, search: str, limit: int, before: Position | None) -> list[Job]:
        """Jobs of the owner that a person wants to see: all but those whose result was let go, newest first.

        Args:
            search: a part of the name, in letters of either case; empty for all.
            limit, before: as of `newest`.
        """
        query: Document = {"owner": owner, "expired": False}
        if search:
            query["name"] = {"$regex": re.escape(search), "$options": "i"}
        return self._list(query, limit, before)

    def _list(self, query: Document, limit: int, before: Position | None) -> list[Job]:
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
        change = ended(Status.REVOKED, {"current": False, "source.file_id": None})
        found = self._jobs.find_one_and_update(waiting, change, return_document=ReturnDocument.AFTER)
        return self._announced(from_document(found))

    @brief
    def let_go(self, job: Job) -> bool:
        """Give up a finished job's result and free its name. False if somebody was faster.

        The bytes go by the sweep, once nobody can be reading them any more.
        """
        finished = {"_id": job.id, "status": Status.SUCCESS, "expired": False}
        return self._jobs.update_one(finished, given_up({"expires_at": NOW})).modified_count == 1

    def release(self, job: Job) -> None:
        """Free the name of a current job, whatever its state: cancel it or let its result go."""
        if not self.cancel(job.owner, job.id):
            self.let_go(job)

    @brief
    def mark_sent(self, job_id: str) -> None:
        """Note that a worker was told of the job just now."""
        self._jobs.update_one({"_id": job_id}, [{"$set": {"sent_at": NOW}}])

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
                    {"$and": [LEASE_RUN_OUT, {"$expr": {"$lt": [TRIED, self._max_attempts]}}]},
                ],
            },
            [
                {
                    "$set": {
                        "status": Status.STARTED,
                        "attempt": {"$add": ["$attempt", 1]},
                        "started_at": NOW,
                        "lease_until": from_now(self._lease),
                        "progress": 0.0,
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
        )
        return self._announced(from_document(found))

    @brief
    def heartbeat(self, job: Job, progress: float) -> None:
        """Renew the lease and store the progress (0..1).

        Raises:
            StaleAttempt: the job was cancelled, or is no longer this worker's.
        """
        renewed = self._jobs.update_one(
            _held(job),
            [{"$set": {"lease_until": from_now(self._lease), "progress": progress}}],
        )
        if renewed.matched_count == 0:
            raise StaleAttempt(job.id)
        self._announce(job.owner, job.id)

    def succeed(self, job: Job, result: StoredImage, keep: timedelta) -> None:
        """Make the result visible, for as long as `keep`. May be done again where it is not known whether it was.

        Raises:
            StaleAttempt: the job is no longer this worker's; the result is nobody's.
        """
        made = {"progress": 1.0, "result": {"$literal": image_document(result)}, "expires_at": from_now(keep)}
        change = ended(Status.SUCCESS, made if self._keep_sources else {**made, "source.file_id": None})
        done_before = {**_held(job), "status": Status.SUCCESS, "result.file_id": result.file_id}
        self._write(job, change, {"$or": [_held(job), done_before]})

    def fail(self, job: Job, error: ServiceError) -> None:
        """End the job with the error's code and sentence, and free its name.

        Raises:
            StaleAttempt: the job is no longer this worker's.
        """
        self._write(job, ended(Status.FAILURE, failed(error)))

    def hand_back(self, job: Job) -> None:
        """Let another worker have the job at once, because this one has to stop. That counts as no attempt.

        Raises:
            StaleAttempt: the job is no longer this worker's.
        """
        self._write(job, waiting_again({"handed_back": {"$add": [{"$ifNull": ["$handed_back", 0]}, 1]}}))

    def try_again(self, job: Job, error: ServiceError) -> bool:
        """Let the job be tried again at once. False if it was tried often enough: then it failed, with `error`.

        Raises:
            StaleAttempt: the job is no longer this worker's.
        """
        if self._is_last_attempt(job):
            self.fail(job, error)
            return False
        self._write(job, waiting_again())
        return True

    @translated
    def _is_last_attempt(self, job: Job) -> bool:
        spent = {"$expr": {"$gte": [TRIED, self._max_attempts]}}
        return self._jobs.count_documents({"_id": job.id, **spent}) > 0

    @translated
    def _write(self, job: Job, change: list[Document], held: Document | None = None) -> None:
        if self._jobs.update_one(held or _held(job), change).matched_count == 0:
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
        self._jobs.create_indexes(INDEXES)
        self._indexed = True


def _held(job: Job) -> Document:
    """The filter that only the worker of this very attempt passes."""
    return {"_id": job.id, "status": Status.STARTED, "attempt": job.attempt}
