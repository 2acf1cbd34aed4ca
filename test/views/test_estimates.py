"""Estimates from the store's own history, on a real MongoDB."""

from __future__ import annotations

import time
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
    done = replace(new_job(name), result=new_job(name).source).copy_for(name)
    began = datetime.now(UTC) - timedelta(seconds=seconds)
    return replace(done, status="SUCCESS", attempt=1, started_at=began, finished_at=datetime.now(UTC))


def test_without_history_there_is_a_first_guess(store: Store) -> None:
    job = store.jobs.create(new_job("first.png"))
    estimate = Estimator(store.jobs).of(job)
    assert estimate.position == 1
    assert estimate.seconds_left == FIRST_GUESS


def test_the_queue_and_the_pace_of_late_decide(store: Store) -> None:
    for number in range(3):
        store.jobs.create(finished_job(f"done-{number}.png", seconds=10))
    for number in range(3):
        store.jobs.create(new_job(f"waiting-{number}.png"))
    time.sleep(0.01)  # the place in the queue is by milliseconds
    estimate = Estimator(store.jobs).of(store.jobs.create(new_job("last.png")))
    assert estimate.position == 4
    assert 39 < estimate.seconds_left < 41
    assert estimate.retry_after in (40, 41)


def test_a_task_under_way_is_judged_by_its_own_progress(store: Store) -> None:
    job = store.jobs.create(new_job("running.png"))
    claimed = store.jobs.claim(job.id)
    assert claimed is not None
    began = datetime.now(UTC) - timedelta(seconds=30)
    estimate = Estimator(store.jobs).of(replace(claimed, progress=0.75, started_at=began))
    assert estimate.position is None
    assert 9 < estimate.seconds_left < 11


def test_retry_after_stays_within_a_minute(store: Store) -> None:
    store.jobs.create(finished_job("slow.png", seconds=4000))
    job = store.jobs.create(new_job("next.png"))
    assert Estimator(store.jobs).of(job).retry_after == LONGEST
