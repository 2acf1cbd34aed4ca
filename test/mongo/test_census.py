"""How the store stands, on a real MongoDB."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from mongo import Store
from mongo.jobs import Job, StoredImage
from utils.upscale_request import UpscaleRequest


def add_job(store: Store, name: str, model: str, age: timedelta = timedelta()) -> Job:
    source = StoredImage(ObjectId(), "PNG", "RGB", 10, 10, 100, "0" * 64)
    job = Job.new("somebody", name, UpscaleRequest(model=model), source)
    store.jobs.create(job)
    store.database["jobs"].update_one({"_id": job.id}, {"$set": {"created_at": datetime.now(UTC) - age}})
    return job


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert (store.census.queue().length, store.census.queue().head_age) == (0, 0)
    assert store.census.tasks() == {}
    assert store.census.kept_bytes() == {"uploads": 0, "results": 0, "thumbnails": 0}


def test_the_oldest_waiting_task_gives_the_queue_its_age(store: Store) -> None:
    for number, minutes in enumerate((5, 60, 10)):
        add_job(store, f"{number}.png", "fast", timedelta(minutes=minutes))
    begun = add_job(store, "begun.png", "fast", timedelta(hours=9))
    assert store.jobs.claim(begun.id)
    queue = store.census.queue()
    assert queue.length == 3
    assert queue.head_age == pytest.approx(3600, abs=60)


def test_tasks_are_counted_by_state_and_model(store: Store) -> None:
    for number, model in enumerate(("fast", "fast", "faithful")):
        job = add_job(store, f"{number}.png", model)
    assert store.jobs.claim(job.id)
    assert store.census.tasks() == {("PENDING", "fast"): 2, ("STARTED", "faithful"): 1}


def test_bytes_are_counted_by_what_they_are(store: Store) -> None:
    store.results.save(io.BytesIO(bytes(3_000_000)), "photo.png")
    kept = store.census.kept_bytes()
    assert 3_000_000 <= kept["results"] < 3_010_000
    assert kept["uploads"] == 0
