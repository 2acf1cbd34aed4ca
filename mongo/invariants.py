"""What must be true of what is kept, whatever was killed. Each rule finds what breaks it, and changes nothing.

All of them may be asked while the service works: what is on its way is given its time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from gridfs import GridFSBucket, NoFile
from gridfs.errors import CorruptGridFile
from pymongo.database import Database

from mongo.client import Document, translated
from mongo.jobs import Status
from mongo.server_time import ago, not_after

LATE = timedelta(minutes=1)
"""So long the sweep may take for what it has to do every few seconds."""

BLOCK_BYTES = 1024 * 1024


class Invariants:
    """The rules, over all owners.

    Args:
        grace: how long what nobody owns is left alone.
    """

    def __init__(self, database: Database[Document], grace: timedelta) -> None:
        self._database = database
        self._jobs = database["jobs"]
        self._overdue = 2 * grace

    @translated
    def names_with_several_current_tasks(self) -> list[str]:
        """Names, of one owner each, that more than one current task has."""
        found = self._jobs.aggregate(
            [
                {"$match": {"current": True}},
                {"$group": {"_id": {"owner": "$owner", "name": "$name"}, "count": {"$sum": 1}}},
                {"$match": {"count": {"$gt": 1}}},
            ]
        )
        return [each["_id"]["name"] for each in found]

    @translated
    def tasks_without_their_result(self) -> list[str]:
        """Ids of finished tasks whose result is not there, or not as long as it was."""
        finished = {"status": Status.SUCCESS, "expired": False}
        files = self._lookup("results.files", "result.file_id", "_id", "file")
        chunks = self._lookup("results.chunks", "result.file_id", "files_id", "chunks", [{"$count": "number"}])
        has_length = {"$eq": ["$file.length", "$result.bytes"]}
        has_chunks = {"$eq": ["$chunks.number", {"$ceil": {"$divide": ["$file.length", "$file.chunkSize"]}}]}
        broken = {"$match": {"$expr": {"$not": [{"$and": [has_length, has_chunks]}]}}}
        return self._ids([{"$match": finished}, files, _first("file"), chunks, _first("chunks"), broken])

    @translated
    def tasks_with_another_result(self) -> list[str]:
        """Ids of finished tasks whose result has other bytes than were made. Reads them all, which takes its time."""
        finished = {"status": Status.SUCCESS, "expired": False}
        found = self._jobs.find(finished, {"result.file_id": 1, "result.sha256": 1})
        return [job["_id"] for job in found if self._sha256(job["result"]["file_id"]) != job["result"]["sha256"]]

    @translated
    def tasks_without_their_upload(self) -> list[str]:
        """Ids of tasks that wait or run, and whose upload is not there."""
        unfinished = {"status": {"$in": [Status.PENDING, Status.STARTED]}}
        files = self._lookup("uploads.files", "source.file_id", "_id", "file")
        return self._ids([{"$match": unfinished}, files, {"$match": {"file": []}}])

    @translated
    def tasks_held_by_nobody(self) -> list[str]:
        """Ids of running tasks whose lease has been over for so long that a sweep should have handed them on."""
        has_lease = {"$gt": ["$lease_until", None]}
        neglected = {"$or": [{"$not": [has_lease]}, not_after("lease_until", ago(LATE))]}
        return self._ids([{"$match": {"status": Status.STARTED, "$expr": neglected}}])

    @translated
    def tasks_past_their_time(self) -> list[str]:
        """Ids of finished tasks whose result should have expired."""
        over = {"status": Status.SUCCESS, "expired": False, "$expr": not_after("expires_at", ago(LATE))}
        return self._ids([{"$match": over}])

    @translated
    def files_of_nobody(self) -> list[str]:
        """Ids of files without a task whose grace was over long ago."""
        overdue = {"$expr": not_after("retired_at", ago(self._overdue))}
        return [str(each["_id"]) for files in self._each("files") for each in files.find(overdue, {"_id": 1})]

    @translated
    def chunks_of_nobody(self) -> list[str]:
        """Ids of files that there are only chunks of, whose grace was over long ago."""
        overdue = {"$expr": not_after("stray_since", ago(self._overdue))}
        found: list[str] = []
        for files, chunks in zip(self._each("files"), self._each("chunks"), strict=True):
            marked = {chunk["files_id"] for chunk in chunks.find(overdue, {"files_id": 1})}
            found += [str(files_id) for files_id in marked if files.find_one({"_id": files_id}, {"_id": 1}) is None]
        return found

    def _each(self, part: str) -> Iterator[Any]:
        return (self._database[f"{bucket}.{part}"] for bucket in ("uploads", "results"))

    def _ids(self, pipeline: list[Document]) -> list[str]:
        return [job["_id"] for job in self._jobs.aggregate([*pipeline, {"$project": {"_id": 1}}])]

    def _lookup(
        self, collection: str, local: str, foreign: str, name: str, pipeline: Sequence[Document] = ()
    ) -> Document:
        fields = {"from": collection, "localField": local, "foreignField": foreign, "as": name}
        return {"$lookup": fields | ({"pipeline": list(pipeline)} if pipeline else {})}

    def _sha256(self, file_id: object) -> str | None:
        """Of a result's bytes; None if they are not there, or not all of them."""
        digest = hashlib.sha256()
        try:
            with GridFSBucket(self._database, "results").open_download_stream(file_id) as stream:
                while block := stream.read(BLOCK_BYTES):
                    digest.update(block)
        except (NoFile, CorruptGridFile):
            return None
        return digest.hexdigest()


def _first(field: str) -> Document:
    """What was looked up is one or none."""
    return {"$set": {field: {"$first": f"${field}"}}}
