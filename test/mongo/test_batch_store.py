"""Batches on a real MongoDB: kept as they came, seen by their owner, forgotten with their tasks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from bson import ObjectId

from mongo import Store
from mongo.batches import Batch, BatchFile
from mongo.jobs import Job, StoredImage
from utils.errors import Undecodable
from utils.upscale_request import UpscaleRequest

MONTH = timedelta(days=30)


@pytest.fixture
def ended_job(store: Store) -> Job:
    source = StoredImage(ObjectId(), "PNG", "RGB", width=30, height=20, bytes=600, sha256="ab" * 32)
    job = Job.new("ann", "photo.png", UpscaleRequest(), source)
    store.jobs.create(job)
    claimed = store.jobs.claim(job.id)
    assert claimed is not None
    store.jobs.fail(claimed, Undecodable("It is no picture."))
    return job


def kept_batch(store: Store, job: Job) -> Batch:
    refused = BatchFile("notes.txt", error={"code": "unsupported_format"})
    twice = [BatchFile("photo.png", job.id), BatchFile("photo.png", job.id, {"duplicate": True})]
    batch = Batch.new("ann", [*twice, refused])
    store.batches.create(batch)
    return batch


def test_a_batch_is_found_as_it_was_created_by_its_owner_alone(store: Store, ended_job: Job) -> None:
    batch = kept_batch(store, ended_job)
    found = store.batches.get("ann", batch.id)
    assert found is not None
    assert replace(found, created_at=batch.created_at) == batch
    assert found.task_ids == [ended_job.id]
    assert store.batches.get("bob", batch.id) is None
    assert store.batches.get("ann", "never") is None


def test_a_batch_is_forgotten_with_its_tasks_and_not_before(store: Store, ended_job: Job) -> None:
    batch = kept_batch(store, ended_job)
    assert store.batches.forget(timedelta()) == 0
    assert store.sweep.forget(timedelta()) == 1
    assert store.batches.forget(MONTH) == 0  # too young to be looked at
    assert store.batches.forget(timedelta()) == 1
    assert store.batches.get("ann", batch.id) is None
