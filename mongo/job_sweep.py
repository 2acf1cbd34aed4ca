"""What the sweep does with jobs: hand on what a dead worker left, find what Redis lost, let go of what is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.database import Database

from mongo.client import Document, translated
from mongo.job_store import LEASE_RUN_OUT
from mongo.jobs import Status, error_document
from utils.errors import WorkerLost


class JobSweep:
    """Upkeep of the jobs of all owners. Any number of sweeps at once do no harm."""

    def __init__(self, database: Database[Document], *, max_attempts: int) -> None:
        self._jobs = database["jobs"]
        self._max_attempts = max_attempts

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
