"""Estimates from the store's own history, on a real MongoDB."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bson import ObjectId

from mongo import Store
from mongo.job_store import FIRST_GUESS
from mongo.jobs import Job, StoredImage
from utils.upscale_request import UpscaleRequest
from views.estimates import LONGEST, Estimator


def new_job(name: str) -> Job:
    source = StoredImage(ObjectId(), "PNG", "RGB", 10, 10, 100, "0" * 64)
    return Job.new("somebody", name, UpscaleRequest(), source)


def finished_job(name: str, seconds: float) -> Job:
    done = replace(new_job(name), result=new_job(name).source).copy_for(name, keep=timedelta(hours=1))
    began = datetime.now(UTC) - timedelta(seconds=seconds)
    return replace(done, status="SUCCESS", attempt=1, started_at=began, finished_at=datetime.now(UTC))


def test_without_history_there_is_a_first_guess(store: Store) -> None:
    job = new_job("first.png")
    store.jobs.create(job)
    estimate = Estimator(store.jobs).of(job)
    assert estimate.position == 1
    assert estimate.seconds_left == FIRST_GUESS


def test_the_queue_and_the_pace_of_late_decide(store: Store) -> None:
    for number in range(3):
        store.jobs.create(finished_job(f"done-{number}.png", seconds=10))
    now = datetime.now(UTC)
    jobs = [replace(new_job(f"waiting-{n}.png"), created_at=now + timedelta(seconds=n)) for n in range(4)]
    for job in jobs:
        store.jobs.create(job)
    estimate = Estimator(store.jobs).of(jobs[3])
    assert estimate.position == 4
    assert 39 < estimate.seconds_left < 41
    assert estimate.retry_after in (40, 41)


def test_a_task_under_way_is_judged_by_its_own_progress(store: Store) -> None:
    job = new_job("running.png")
    store.jobs.create(job)
    claimed = store.jobs.claim(job.id)
    assert claimed is not None
    began = datetime.now(UTC) - timedelta(seconds=30)
    estimate = Estimator(store.jobs).of(replace(claimed, progress=0.75, started_at=began))
    assert estimate.position is None
    assert 9 < estimate.seconds_left < 11


def test_retry_after_stays_within_a_minute(store: Store) -> None:
    store.jobs.create(finished_job("slow.png", seconds=4000))
    job = new_job("next.png")
    store.jobs.create(job)
    assert Estimator(store.jobs).of(job).retry_after == LONGEST
