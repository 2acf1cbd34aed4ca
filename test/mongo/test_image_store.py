"""Pictures in a real GridFS: whole or not at all, and never taken from under a reader."""

from __future__ import annotations

import hashlib
import io
import os
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from mongo import Store
from mongo.images import CHUNK_BYTES, GRACE, ImageStore

DATA = os.urandom(3 * CHUNK_BYTES + 17)


class BreakingStream(io.BytesIO):
    """A connection that breaks after two and a half chunks."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 2 * CHUNK_BYTES:
            raise ConnectionResetError("the client went away")
        return super().read(size)


def left(images: ImageStore) -> tuple[int, int]:
    """How many files and chunks there are."""
    return images._files.count_documents({}), images._chunks.count_documents({})


def later(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def stray_chunks(images: ImageStore, file_id: ObjectId) -> None:
    """What a killed upload leaves."""
    images._chunks.insert_many([{"files_id": file_id, "n": n, "data": b"x"} for n in range(5)])


def test_what_is_saved_comes_back(store: Store) -> None:
    stored = store.uploads.save(io.BytesIO(DATA), "photo.png")
    assert stored.bytes == len(DATA)
    assert stored.sha256 == hashlib.sha256(DATA).hexdigest()
    file = store.uploads.open(stored.file_id)
    assert file is not None
    assert file.read() == DATA
    file.seek(CHUNK_BYTES - 3)
    assert file.read(6) == DATA[CHUNK_BYTES - 3 : CHUNK_BYTES + 3]
    copy = io.BytesIO()
    store.uploads.copy_to(stored.file_id, copy)
    assert copy.getvalue() == DATA


def test_a_stream_is_saved_from_where_it_stands(store: Store) -> None:
    stream = io.BytesIO(DATA)
    stream.seek(100)
    stored = store.uploads.save(stream, "photo.png")
    assert stored.sha256 == hashlib.sha256(DATA[100:]).hexdigest()


def test_the_two_buckets_are_apart(store: Store) -> None:
    stored = store.uploads.save(io.BytesIO(DATA), "photo.png")
    assert store.results.open(stored.file_id) is None


def test_a_file_that_is_gone_is_none_and_cannot_be_copied(store: Store) -> None:
    assert store.uploads.open(ObjectId()) is None
    with pytest.raises(FileNotFoundError):
        store.uploads.copy_to(ObjectId(), io.BytesIO())


def test_a_stream_that_breaks_midway_leaves_nothing(store: Store) -> None:
    with pytest.raises(ConnectionResetError):
        store.uploads.save(BreakingStream(DATA), "photo.png")
    assert left(store.uploads) == (0, 0)


def test_deleting_takes_the_chunks_along_and_may_be_repeated(store: Store) -> None:
    stored = store.uploads.save(io.BytesIO(DATA), "photo.png")
    store.uploads.delete(stored.file_id)
    store.uploads.delete(stored.file_id)
    assert left(store.uploads) == (0, 0)


def test_a_file_of_nobody_goes_in_two_steps_so_that_its_reader_reads_to_the_end(store: Store) -> None:
    stored = store.results.save(io.BytesIO(DATA), "photo.png")
    reader = store.results.open(stored.file_id)
    assert reader is not None
    begun = reader.read(10)

    assert store.results.remove_unowned([], now=later(1.1)) == 0  # marked only
    assert store.results.remove_unowned([], now=later(1.5)) == 0  # still in its grace
    assert begun + reader.read() == DATA

    assert store.results.remove_unowned([], now=later(2.2)) == 1
    assert left(store.results) == (0, 0)


def test_a_young_file_is_left_alone_for_it_may_be_finding_its_owner(store: Store) -> None:
    store.results.save(io.BytesIO(DATA), "photo.png")
    store.results.remove_unowned([], now=later(0.5))
    assert store.results._files.count_documents({"retired_at": {"$exists": True}}) == 0


def test_a_file_of_a_job_stays(store: Store) -> None:
    stored = store.results.save(io.BytesIO(DATA), "photo.png")
    for hours in (1.5, 3, 30, 300):
        assert store.results.remove_unowned([stored.file_id], now=later(hours)) == 0
    assert left(store.results) == (1, 4)


def test_a_file_that_finds_an_owner_while_it_is_marked_stays_and_has_its_grace_again(store: Store) -> None:
    stored = store.results.save(io.BytesIO(DATA), "photo.png")
    store.results.remove_unowned([], now=later(2))
    assert store.results.remove_unowned([stored.file_id], now=later(4)) == 0
    assert left(store.results) == (1, 4)
    assert store.results.remove_unowned([], now=later(5)) == 0
    assert left(store.results) == (1, 4)
    assert store.results.remove_unowned([], now=later(7)) == 1


def test_chunks_that_a_killed_upload_left_go_once_they_are_old(store: Store) -> None:
    kept = store.uploads.save(io.BytesIO(DATA), "photo.png")
    stray_chunks(store.uploads, ObjectId())
    assert store.uploads.remove_unowned([kept.file_id]) == 0  # it may be under way
    assert store.uploads.remove_unowned([kept.file_id], now=datetime.now(UTC) + GRACE + timedelta(minutes=1)) == 1
    assert left(store.uploads) == (1, 4)
