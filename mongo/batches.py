"""Batches: which pictures came together in one request, and which task each of them has."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from mongo.client import Document, brief, translated
from mongo.server_time import ago, not_after

REFUSED = "REFUSED"
"""The state of a file that never became a task."""


@dataclass(frozen=True)
class BatchFile:
    """One file of a batch: the task that it has, or why it has none."""

    name: str  # as it was sent
    task_id: str | None = None
    remarks: Mapping[str, Any] = field(default_factory=dict)  # what was said of a duplicate beside its task
    error: Mapping[str, Any] | None = None  # a problem document


@dataclass(frozen=True)
class Batch:
    """The files of one request, in their order. How they stand is told by their tasks alone."""

    id: str
    owner: str
    files: Sequence[BatchFile]
    created_at: datetime

    @classmethod
    def new(cls, owner: str, files: Sequence[BatchFile]) -> Batch:
        """A batch with an id of its own."""
        return cls(str(uuid.uuid4()), owner, files, datetime.now(UTC))

    @property
    def task_ids(self) -> list[str]:
        """Of all files that have a task, each once: two files of one name may share one."""
        return list(dict.fromkeys(file.task_id for file in self.files if file.task_id))


class BatchStore:
    """The batches of all owners."""

    def __init__(self, database: Database[Document]) -> None:
        self._batches = database["batches"]

    @brief
    def create(self, batch: Batch) -> None:
        """Keep a new batch."""
        self._batches.insert_one(
            {
                "_id": batch.id,
                "owner": batch.owner,
                "files": [dict(vars(file)) for file in batch.files],
                "created_at": batch.created_at,
            }
        )

    @brief
    def get(self, owner: str, batch_id: str) -> Batch | None:
        found = self._batches.find_one({"_id": batch_id, "owner": owner})
        if found is None:
            return None
        files = [BatchFile(**file) for file in found["files"]]
        return Batch(found["_id"], found["owner"], files, found["created_at"])

    @translated
    def forget(self, older_than: timedelta) -> int:
        """Delete the batches of which a task has been forgotten. How many.

        Args:
            older_than: how long an ended task is known at least; younger batches are not looked at.
        """
        incomplete = self._batches.aggregate(
            [
                {"$match": {"$expr": not_after("created_at", ago(older_than))}},
                {"$project": {"task_ids": {"$setDifference": ["$files.task_id", [None]]}}},
                {"$lookup": {"from": "jobs", "localField": "task_ids", "foreignField": "_id", "as": "jobs"}},
                {"$match": {"$expr": {"$lt": [{"$size": "$jobs"}, {"$size": "$task_ids"}]}}},
                {"$project": {"_id": 1}},
            ]
        )
        return self._batches.delete_many({"_id": {"$in": [batch["_id"] for batch in incomplete]}}).deleted_count
