"""Pictures in GridFS: written whole or not at all, streamed with constant memory, removed by a sweep."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

import pymongo
from bson import ObjectId
from gridfs import GridFSBucket, GridOut, NoFile
from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from mongo.client import FAREWELL, Document, translated
from mongo.server_time import NOW, ago, from_now, not_after

CHUNK_BYTES = 1024 * 1024

SETTLING = timedelta(minutes=1)
"""So long a new file is not asked for its owner: it is stored just before the job that will own it."""


@dataclass(frozen=True)
class StoredFile:
    """Bytes that are safely in the store."""

    file_id: ObjectId
    bytes: int
    sha256: str  # hexadecimal


class ImageStore:
    """One GridFS bucket. A file belongs to the job that names its id; a file of no job gets removed.

    Args:
        grace: how long what nobody owns is left alone: longer than any upload or download under way.
    """

    def __init__(self, database: Database[Document], bucket: str, grace: timedelta) -> None:
        self._grace = grace
        self._bucket = GridFSBucket(database, bucket, chunk_size_bytes=CHUNK_BYTES)
        self._files = database[f"{bucket}.files"]
        self._chunks = database[f"{bucket}.chunks"]

    @translated
    def save(self, stream: BinaryIO, name: str) -> StoredFile:
        """Store the rest of `stream`. `name` is a note for people; nothing is found by it.

        Raises:
            StoreUnavailable, StoreFull: nothing was kept.
        """
        digest = hashlib.sha256()
        size = 0
        file_id = ObjectId()
        upload = self._bucket.open_upload_stream_with_id(file_id, name)
        try:
            while block := stream.read(CHUNK_BYTES):
                digest.update(block)
                upload.write(block)
                size += len(block)
            upload.close()
        except BaseException:
            # GridIn's own context manager would close and so keep half a file.
            with contextlib.suppress(PyMongoError), pymongo.timeout(FAREWELL):
                upload.abort()
            raise
        return StoredFile(file_id, size, digest.hexdigest())

    @translated
    def open(self, file_id: ObjectId) -> GridOut | None:
        """The file, to be read and sought in with constant memory; None if it is gone."""
        try:
            return self._bucket.open_download_stream(file_id)
        except NoFile:
            return None

    @translated
    def copy_to(self, file_id: ObjectId, stream: BinaryIO) -> None:
        """Write the file to `stream`.

        Raises:
            FileNotFoundError: the store does not have it.
        """
        try:
            self._bucket.download_to_stream(file_id, stream)
        except NoFile:
            raise FileNotFoundError(f"no file {file_id} in the store") from None

    @translated
    def delete(self, file_id: ObjectId) -> None:
        """Remove a file that nobody can be reading. If it is gone already, that is fine."""
        with contextlib.suppress(NoFile):
            self._bucket.delete(file_id)

    @translated
    def remove_unowned(self, owned: Collection[ObjectId]) -> int:
        """Remove what belongs to no job, in two steps so that nobody is cut off who reads or writes it.

        A file without an owner, and chunks without a file, which a killed upload leaves, are marked first. A call that
        comes a grace later removes them. All times are MongoDB's own.

        Args:
            owned: ids of the files that belong to a job. Read them just before calling.

        Returns:
            How many files and sets of chunks were removed.
        """
        strays = self._stray_ids()
        removed = self._remove_unowned_files(owned) + self._remove_chunks(strays)
        self._mark_unowned_files(owned)
        self._mark_chunks(strays)
        return removed

    def _remove_unowned_files(self, owned: Collection[ObjectId]) -> int:
        """Remove the files whose grace is over. One that has found an owner since it was marked is no longer marked."""
        marked = [found["_id"] for found in self._files.find({"retired_at": {"$exists": True}}, {"_id": 1})]
        regained = [file_id for file_id in marked if file_id in owned]
        self._files.update_many({"_id": {"$in": regained}}, {"$unset": {"retired_at": ""}})
        overdue = list(self._files.find({"$expr": not_after("retired_at", ago(self._grace))}, {"_id": 1}))
        for found in overdue:
            self.delete(found["_id"])
        return len(overdue)

    def _mark_unowned_files(self, owned: Collection[ObjectId]) -> None:
        # By the maker's clock, which may be fast: what comes from the future is not young either.
        settling = min(self._grace, SETTLING)
        is_old = not_after("uploadDate", ago(settling))
        settled = {"$or": [is_old, {"$gte": ["$uploadDate", from_now(settling)]}]}
        found = self._files.find({"retired_at": {"$exists": False}, "$expr": settled}, {"_id": 1})
        unowned = [file["_id"] for file in found if file["_id"] not in owned]
        self._files.update_many({"_id": {"$in": unowned}}, [{"$set": {"retired_at": NOW}}])

    def _remove_chunks(self, strays: list[ObjectId]) -> int:
        overdue = {"$expr": not_after("stray_since", ago(self._grace))}
        return sum(self._chunks.delete_many({"files_id": each, **overdue}).deleted_count > 0 for each in strays)

    def _mark_chunks(self, strays: list[ObjectId]) -> None:
        # The mark stays on the chunks of an upload that was under way, and says nothing once they have their file.
        unmarked = {"files_id": {"$in": strays}, "stray_since": {"$exists": False}}
        self._chunks.update_many(unmarked, [{"$set": {"stray_since": NOW}}])

    def _stray_ids(self) -> list[ObjectId]:
        """Of the files that chunks are there for, but not the file itself."""
        strays = self._chunks.aggregate(
            [
                {"$sort": {"files_id": ASCENDING}},
                {"$group": {"_id": "$files_id"}},
                {
                    "$lookup": {
                        "from": self._files.name,
                        "localField": "_id",
                        "foreignField": "_id",
                        "as": "file",
                    }
                },
                {"$match": {"file": []}},
            ]
        )
        return [stray["_id"] for stray in strays]
