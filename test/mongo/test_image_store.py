"""Pictures in a real GridFS: whole or not at all, and never taken from under a reader."""

from __future__ import annotations

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from mongo import Store
from mongo.images import CHUNK_BYTES, ImageStore

GRACE = timedelta(hours=1)  # the default
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


def goes_by(images: ImageStore, time: timedelta) -> None:
    """Let everything be as old as if `time` had gone by."""
    past = {"$subtract": ["$uploadDate", time.total_seconds() * 1000]}
    images._files.update_many({}, [{"$set": {"uploadDate": past}}])
    for collection, field in ((images._files, "retired_at"), (images._chunks, "stray_since")):
        older = {"$subtract": [f"${field}", time.total_seconds() * 1000]}
        collection.update_many({field: {"$exists": True}}, [{"$set": {field: older}}])


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

    goes_by(store.results, 10 * GRACE)
    assert store.results.remove_unowned([]) == 0  # marked only
    goes_by(store.results, GRACE / 2)
    assert store.results.remove_unowned([]) == 0  # still in its grace
    assert begun + reader.read() == DATA

    goes_by(store.results, GRACE / 2)
    assert store.results.remove_unowned([]) == 1
    assert left(store.results) == (0, 0)


def test_a_young_file_is_left_alone_for_it_may_be_finding_its_owner(store: Store) -> None:
    store.results.save(io.BytesIO(DATA), "photo.png")
    store.results.remove_unowned([])
    assert store.results._files.count_documents({"retired_at": {"$exists": True}}) == 0


@pytest.mark.parametrize("wrong_by", [-10 * GRACE, 10 * GRACE], ids=["slow", "fast"])
def test_a_file_whose_makers_clock_was_wrong_has_its_grace_and_no_more(store: Store, wrong_by: timedelta) -> None:
    store.results.save(io.BytesIO(DATA), "photo.png")
    store.results._files.update_many({}, {"$set": {"uploadDate": datetime.now(UTC) + wrong_by}})
    for _ in range(2):
        assert store.results.remove_unowned([]) == 0
    assert left(store.results) == (1, 4)
    goes_by(store.results, GRACE)
    assert store.results.remove_unowned([]) == 1


def test_a_file_of_a_job_stays(store: Store) -> None:
    stored = store.results.save(io.BytesIO(DATA), "photo.png")
    for _ in range(4):
        goes_by(store.results, 2 * GRACE)
        assert store.results.remove_unowned([stored.file_id]) == 0
    assert left(store.results) == (1, 4)


def test_a_file_that_finds_an_owner_while_it_is_marked_stays_and_has_its_grace_again(store: Store) -> None:
    stored = store.results.save(io.BytesIO(DATA), "photo.png")
    goes_by(store.results, GRACE)
    store.results.remove_unowned([])
    goes_by(store.results, 2 * GRACE)
    assert store.results.remove_unowned([stored.file_id]) == 0
    assert store.results.remove_unowned([]) == 0
    assert left(store.results) == (1, 4)
    goes_by(store.results, GRACE)
    assert store.results.remove_unowned([]) == 1


def test_racing_clean_ups_remove_a_file_and_harm_no_other(store: Store) -> None:
    kept, gone = (store.results.save(io.BytesIO(DATA), "photo.png") for _ in range(2))
    for _ in range(2):
        goes_by(store.results, 2 * GRACE)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: store.results.remove_unowned([kept.file_id]), range(8)))
    assert store.results.open(gone.file_id) is None
    assert left(store.results) == (1, 4)


def test_chunks_that_a_killed_upload_left_go_after_their_grace(store: Store) -> None:
    kept = store.uploads.save(io.BytesIO(DATA), "photo.png")
    # The id tells of a time long ago: the maker's clock was slow.
    stray_chunks(store.uploads, ObjectId.from_datetime(datetime.now(UTC) - 10 * GRACE))
    assert store.uploads.remove_unowned([kept.file_id]) == 0  # it may be under way
    goes_by(store.uploads, GRACE / 2)
    assert store.uploads.remove_unowned([kept.file_id]) == 0
    goes_by(store.uploads, GRACE / 2)
    assert store.uploads.remove_unowned([kept.file_id]) == 1
    assert left(store.uploads) == (1, 4)


def test_an_upload_that_is_finished_after_its_chunks_were_marked_stays(store: Store) -> None:
    stored = store.uploads.save(io.BytesIO(DATA), "photo.png")
    file = store.uploads._files.find_one_and_delete({"_id": stored.file_id})
    assert file is not None
    store.uploads.remove_unowned([])  # while it is under way
    store.uploads._files.insert_one(file)
    goes_by(store.uploads, 2 * GRACE)
    assert store.uploads.remove_unowned([stored.file_id]) == 0
    assert left(store.uploads) == (1, 4)
