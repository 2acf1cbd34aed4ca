"""The oplog of a real mongod tells all that was done to a job, also what its present state no longer shows."""

from __future__ import annotations

from datetime import timedelta

from bson import ObjectId

from chaos.witness import read_traces
from mongo import Store
from mongo.jobs import Job, StoredImage, image_document
from utils.upscale_request import UpscaleRequest


def image(sha256: str) -> StoredImage:
    return StoredImage(ObjectId(), "PNG", "RGB", width=30, height=20, bytes=600, sha256=sha256)


def finished(store: Store) -> Job:
    job = store.jobs.claim(store.jobs.create(Job.new("ann", "a.png", UpscaleRequest(), image("sent"))).id)
    assert job is not None
    store.jobs.succeed(job, image("made"), keep=timedelta(days=1))
    return job


def test_a_job_is_traced_from_its_making_to_its_end(store: Store) -> None:
    job = finished(store)
    trace = read_traces(store)[job.id]
    assert trace.states == ["PENDING", "STARTED", "SUCCESS"]
    assert trace.attempts == 1
    assert [change.publishes for change in trace.changes] == [False, False, True]
    assert (trace.source, trace.sha256) == ("sent", "made")


def test_a_result_that_was_published_over_another_is_seen(store: Store) -> None:
    job = finished(store)
    store.database["jobs"].update_one({"_id": job.id}, {"$set": {"result": image_document(image("other"))}})
    store.database["jobs"].update_one({"_id": job.id}, {"$set": {"result.file_id": ObjectId()}})
    assert sum(change.publishes for change in read_traces(store)[job.id].changes) == 3
