"""What the sweep does with jobs: hand on what a dead worker left, find what Redis lost, let go of what is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.database import Database

from mongo.client import Document, brief, translated
from mongo.job_updates import LEASE_RUN_OUT, TRIED, ended, failed, given_up, waiting_again
from mongo.jobs import Status
from mongo.server_time import NOW, ago, not_after
from utils.errors import WorkerLost


@dataclass(frozen=True)
class Lost:
    """What became of the jobs whose workers were lost."""

    handed_on: int
    failed: int


class JobSweep:
    """Upkeep of the jobs of all owners. Any number of sweeps at once do no harm."""

    def __init__(self, database: Database[Document], *, max_attempts: int) -> None:
        self._jobs = database["jobs"]
        self._upkeep = database["upkeep"]
        self._max_attempts = max_attempts

    @translated
    def begin(self, kind: str, pause: timedelta) -> bool:
        """Note that this kind of upkeep is begun now. False if that was so less than `pause` ago already."""
        is_due = not_after("begun_at", ago(pause))
        begun_at = {"$cond": [is_due, NOW, {"$ifNull": ["$begun_at", NOW]}]}
        noted = self._upkeep.update_one({"_id": kind}, [{"$set": {"begun_at": begun_at}}], upsert=True)
        return noted.modified_count > 0 or noted.upserted_id is not None

    @brief
    def age(self, kind: str) -> timedelta | None:
        """How long ago this kind of upkeep was begun last; None if it never was."""
        since = {"$project": {"ms": {"$subtract": [NOW, "$begun_at"]}}}
        found = next(iter(self._upkeep.aggregate([{"$match": {"_id": kind}}, since])), None)
        return timedelta(milliseconds=found["ms"]) if found else None

    @translated
    def hand_on_lost(self) -> Lost:
        """Put the jobs of silent workers back into the queue; those tried too often fail."""
        error = WorkerLost(
            f"The worker vanished {self._max_attempts} times over this picture. Perhaps it takes more memory "
            "than there is: try a smaller one."
        )
        failures = self._jobs.update_many(self._lost("$gte"), ended(Status.FAILURE, failed(error)))
        handed_on = self._jobs.update_many(self._lost("$lt"), waiting_again())
        return Lost(handed_on.modified_count, failures.modified_count)

    def _lost(self, comparison: str) -> Document:
        """The filter for jobs of silent workers that were tried as often as may be (`$gte`), or less (`$lt`)."""
        return {"$and": [LEASE_RUN_OUT, {"$expr": {comparison: [TRIED, self._max_attempts]}}]}

    @translated
    def unsent(self, queue_length: int, patience: timedelta = timedelta(seconds=10)) -> list[str]:
        """Ids of the waiting jobs that no message in Redis stands for, oldest first.

        Args:
            queue_length: messages in the queue. Fewer than there are waiting jobs that were sent means that
                some were lost: then all that were sent longer ago than `patience` are sent again, for a
                message too many does no harm.
            patience: how long the process that made the job, or the worker that got it, may take.
        """
        waiting = {"status": Status.PENDING}
        choice: list[Document] = [{"sent_at": None, "$expr": not_after("created_at", ago(patience))}]
        if queue_length < self._jobs.count_documents({**waiting, "sent_at": {"$ne": None}}):
            choice.append({"$expr": not_after("sent_at", ago(patience))})
        found = self._jobs.find({**waiting, "$or": choice}, {"_id": 1}, sort=[("created_at", ASCENDING)])
        return [job["_id"] for job in found]

    @translated
    def expire(self) -> int:
        """Let go of the results whose time is over, and free their names. How many."""
        over = {"status": Status.SUCCESS, "expired": False, "$expr": not_after("expires_at", NOW)}
        return self._jobs.update_many(over, given_up()).modified_count

    @translated
    def make_room(self, quota: int) -> int:
        """Let go of the oldest results until what belongs to jobs is within `quota` bytes. How many.

        What waits to be removed does not count: its room is on its way.
        """
        excess = self._owned_bytes() - quota
        gone = 0
        for file_id, size in self._oldest_results() if excess > 0 else ():
            holders = {"status": Status.SUCCESS, "expired": False, "result.file_id": file_id}
            gone += self._jobs.update_many(holders, given_up({"expires_at": NOW})).modified_count
            excess -= size
            if excess <= 0:
                break
        return gone

    @translated
    def forget(self, older_than: timedelta) -> int:
        """Delete the jobs that ended, or whose result expired, longer ago than `older_than`. How many."""
        ended_long_ago = {"current": False, "$expr": not_after("finished_at", ago(older_than))}
        still_known = {"$or": [{"expires_at": None}, {"$expr": not_after("expires_at", ago(older_than))}]}
        return self._jobs.delete_many({"$and": [ended_long_ago, still_known]}).deleted_count

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

    def _owned_bytes(self) -> int:
        """Of all pictures that belong to a job, each once."""
        return sum(each["bytes"] for image in ("source", "result") for each in self._images(image))

    def _oldest_results(self) -> Iterator[tuple[ObjectId, int]]:
        """The id and bytes of each result, the one that was finished first, first."""
        for each in sorted(self._images("result"), key=lambda each: each["last"]):
            yield each["_id"], each["bytes"]

    def _images(self, image: str) -> list[Document]:
        """Each picture that belongs to jobs: its file's id, its bytes, and when the last of them ended."""
        return list(
            self._jobs.aggregate(
                [
                    {"$match": {f"{image}.file_id": {"$ne": None}}},
                    {
                        "$group": {
                            "_id": f"${image}.file_id",
                            "bytes": {"$first": f"${image}.bytes"},
                            "last": {"$max": "$finished_at"},
                        }
                    },
                ]
            )
        )
