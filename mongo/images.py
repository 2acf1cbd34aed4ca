"""Pictures in GridFS: written whole or not at all, streamed with constant memory, removed by a sweep."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from bson import ObjectId
from gridfs import GridFSBucket, GridOut, NoFile
from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import PyMongoError

from mongo.client import Document, translated

CHUNK_BYTES = 1024 * 1024

GRACE = timedelta(hours=1)
"""How long a file that nobody owns is left alone: longer than any upload or download under way."""


@dataclass(frozen=True)
class StoredFile:
    """Bytes that are safely in the store."""

    file_id: ObjectId
    bytes: int
    sha256: str  # hexadecimal


class ImageStore:
    """One GridFS bucket. A file belongs to the job that names its id; a file of no job gets removed."""

    def __init__(self, database: Database[Document], bucket: str) -> None:
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
            with contextlib.suppress(PyMongoError):
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
    def remove_unowned(self, owned: Iterable[ObjectId], now: datetime | None = None) -> int:
        """Remove the files that are not in `owned`, in two steps so that no reader is cut off.

        A file without an owner is marked first and removed by a call that comes GRACE later. Chunks that a
        killed upload left without a file go as well.

        Args:
            owned: ids of the files that belong to a job. Read them *before* calling: a file that is younger
                than GRACE is left alone, so one that is finding its owner just now is safe.
            now: the present time, for tests.

        Returns:
            How many files and leftover chunk sets were removed.
        """
        now = now or datetime.now(UTC)
        before = now - GRACE
        keep = set(owned)
        # A file may have found a new owner since it was marked: the same picture sent under another name.
        self._files.update_many({"_id": {"$in": list(keep)}}, {"$unset": {"retired_at": ""}})
        keep = set(owned)
        removed = self._remove_retired(before, keep) + self._remove_stray_chunks(before)
        candidates = self._files.find({"uploadDate": {"$lt": before}, "retired_at": {"$exists": False}}, {"_id": 1})
        unowned = [found["_id"] for found in candidates if found["_id"] not in keep]
        self._files.update_many({"_id": {"$in": unowned}}, {"$set": {"retired_at": now}})
        return removed

    def _remove_retired(self, before: datetime, keep: set[ObjectId]) -> int:
        retired = [found["_id"] for found in self._files.find({"retired_at": {"$lt": before}}, {"_id": 1})]
        for file_id in retired:
            if file_id in keep:  # a job took it over just when it was let go
                self._files.update_one({"_id": file_id}, {"$unset": {"retired_at": ""}})
            else:
                self.delete(file_id)
        return len(set(retired) - keep)

    def _remove_stray_chunks(self, before: datetime) -> int:
        # A file's id is made when its upload begins, so its timestamp tells the chunks' age.
        strays = self._chunks.aggregate(
            [
                {"$match": {"files_id": {"$lt": ObjectId.from_datetime(before)}}},
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
        ids = [stray["_id"] for stray in strays]
        self._chunks.delete_many({"files_id": {"$in": ids}})
        return len(ids)
