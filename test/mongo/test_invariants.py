"""The rules of what is kept: a store that is whole breaks none, and each breach is found by its rule alone."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from mongo import Store
from mongo.images import CHUNK_BYTES
from mongo.jobs import Job, StoredImage
from utils.upscale_request import UpscaleRequest

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
RULES = (
    "names_with_several_current_tasks",
    "tasks_without_their_result",
    "tasks_with_another_result",
    "tasks_without_their_upload",
    "tasks_held_by_nobody",
    "tasks_past_their_time",
    "files_of_nobody",
    "chunks_of_nobody",
)


def image(images: Any) -> StoredImage:
    """A picture of two and a half chunks that is really stored."""
    stored = images.save(io.BytesIO(os.urandom(5 * CHUNK_BYTES // 2)), "photo.png")
    return StoredImage(stored.file_id, "PNG", "RGB", 30, 20, stored.bytes, stored.sha256)


@pytest.fixture
def finished(store: Store) -> Job:
    job = claimed(store, "finished.png")
    store.jobs.succeed(job, image(store.results), keep=timedelta(days=1))
    done = store.jobs.get(job.owner, job.id)
    assert done is not None
    return done


@pytest.fixture
def running(store: Store) -> Job:
    return claimed(store, "running.png")


def claimed(store: Store, name: str) -> Job:
    job = store.jobs.claim(store.jobs.create(Job.new("ann", name, UpscaleRequest(), image(store.uploads))).id)
    assert job is not None
    return job


def broken(store: Store) -> dict[str, list[str]]:
    """What each rule finds, of those that find something."""
    found = {rule: getattr(store.invariants, rule)() for rule in RULES}
    return {rule: breaches for rule, breaches in found.items() if breaches}


def change(store: Store, job: Job, **fields: Any) -> None:
    store.jobs._jobs.update_one({"_id": job.id}, {"$set": fields})


def file_of(job: Job) -> ObjectId:
    assert job.result is not None
    assert job.result.file_id is not None
    return job.result.file_id


def test_a_store_that_is_whole_breaks_no_rule(store: Store, finished: Job, running: Job) -> None:
    assert broken(store) == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda store, file_id: store.results._files.delete_one({"_id": file_id}),
        lambda store, file_id: store.results._chunks.delete_one({"files_id": file_id, "n": 1}),
        lambda store, file_id: store.results._chunks.delete_many({"files_id": file_id}),
        lambda store, file_id: store.results._files.update_one({"_id": file_id}, {"$inc": {"length": -1}}),
    ],
    ids=["no file", "a chunk less", "no chunks", "another length"],
)
def test_a_result_that_is_not_whole_is_found(
    store: Store, finished: Job, running: Job, damage: Callable[[Store, ObjectId], object]
) -> None:
    damage(store, file_of(finished))
    assert broken(store)["tasks_without_their_result"] == [finished.id]
    assert set(broken(store)) <= {"tasks_without_their_result", "tasks_with_another_result"}


def test_other_bytes_of_the_same_length_are_found_by_reading_them(store: Store, finished: Job) -> None:
    chunk = {"files_id": file_of(finished), "n": 1}
    store.results._chunks.update_one(chunk, {"$set": {"data": b"\0" * CHUNK_BYTES}})
    assert broken(store) == {"tasks_with_another_result": [finished.id]}


def test_a_task_to_be_done_without_its_upload_is_found(store: Store, running: Job) -> None:
    assert running.source.file_id is not None
    store.uploads.delete(running.source.file_id)
    assert broken(store) == {"tasks_without_their_upload": [running.id]}


def test_a_running_task_that_nobody_holds_is_found_when_the_sweep_had_its_time(store: Store, running: Job) -> None:
    change(store, running, lease_until=datetime.now(UTC) - timedelta(seconds=1))
    assert broken(store) == {}
    change(store, running, lease_until=LONG_AGO)
    assert broken(store) == {"tasks_held_by_nobody": [running.id]}


def test_a_result_past_its_time_is_found(store: Store, finished: Job) -> None:
    change(store, finished, expires_at=LONG_AGO)
    assert broken(store) == {"tasks_past_their_time": [finished.id]}


def test_two_current_tasks_of_a_name_are_found(store: Store, finished: Job, running: Job) -> None:
    store.jobs._jobs.drop_index("one_current_job_a_name")
    change(store, running, name=finished.name)
    assert broken(store) == {"names_with_several_current_tasks": [finished.name]}


def test_files_and_chunks_that_should_be_gone_are_found(store: Store) -> None:
    left = store.results.save(io.BytesIO(b"nobody's"), "photo.png")
    store.results._files.update_one({}, {"$set": {"retired_at": datetime.now(UTC)}})
    stray = ObjectId()
    store.uploads._chunks.insert_one({"files_id": stray, "n": 0, "data": b"x", "stray_since": datetime.now(UTC)})
    assert broken(store) == {}
    store.results._files.update_one({}, {"$set": {"retired_at": LONG_AGO}})
    store.uploads._chunks.update_one({}, {"$set": {"stray_since": LONG_AGO}})
    assert broken(store) == {"files_of_nobody": [str(left.file_id)], "chunks_of_nobody": [str(stray)]}
