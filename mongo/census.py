"""How the store stands at this moment: who waits, what there is of each state, how much is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from mongo.client import Document, brief
from mongo.jobs import Status

COLLECTIONS = {"uploads": "uploads.chunks", "results": "results.chunks", "thumbnails": "particulars"}
"""What pictures are kept in, and in which collection their bytes are."""


@dataclass(frozen=True)
class Queue:
    """The tasks that wait for a worker."""

    length: int
    head_age: float  # s since the oldest of them was uploaded; 0 where none waits


class Census:
    """Counts over all owners. Each is read from an index or from MongoDB's own books, not from pictures."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._jobs = database["jobs"]

    @brief
    def queue(self) -> Queue:
        """By MongoDB's clock, so that a web server's own need not be right."""
        head = self._jobs.aggregate(
            [
                {"$match": {"status": Status.PENDING}},
                {"$sort": {"created_at": ASCENDING}},
                {"$limit": 1},
                {"$project": {"age_ms": {"$subtract": ["$$NOW", "$created_at"]}}},
            ]
        )
        age_ms = next((found["age_ms"] for found in head), 0)
        return Queue(self._jobs.count_documents({"status": Status.PENDING}), max(0.0, age_ms / 1000))

    @brief
    def tasks(self) -> Mapping[tuple[str, str], int]:
        """How many tasks there are of each state and model."""
        found = self._jobs.aggregate(
            [
                # Both are in one index, so that no document need be read.
                {"$match": {"status": {"$in": list(Status)}}},
                {"$sort": {"status": ASCENDING, "request.model": ASCENDING}},
                {"$group": {"_id": {"status": "$status", "model": "$request.model"}, "count": {"$sum": 1}}},
            ]
        )
        return {(row["_id"]["status"], row["_id"]["model"]): row["count"] for row in found}

    @brief
    def kept_bytes(self) -> Mapping[str, int]:
        """Bytes of pictures, by what they are. Not of files on MongoDB's disk, which are compressed."""
        return {kind: self._size(collection) for kind, collection in COLLECTIONS.items()}

    def _size(self, collection: str) -> int:
        stats: dict[str, Any] = self._database.command("collStats", collection)
        return int(stats["size"])
