"""The tasks, each a few lines: the logic is in `upscaling` and in the stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from celery_app import BrokerUnavailable, app, queue_length, send_upscale
from celery_app.upscaling import run_job
from celery_app.worker import the_worker
from mongo import Store
from utils.errors import StoreUnavailable

log = structlog.get_logger()


@app.task(name="upscale")
def upscale(job_id: str) -> None:
    """Make one picture. A message for a job that cannot be claimed is dropped."""
    worker = the_worker()
    with structlog.contextvars.bound_contextvars(task_id=job_id), _left_to_the_sweep():
        job = worker.store.jobs.claim(job_id)
        if job is None:
            log.info("task dropped: nothing to claim")
            return
        structlog.contextvars.bind_contextvars(attempt=job.attempt)
        run_job(worker, job)


@app.task(name="sweep")
def sweep() -> None:
    """Hand on what dead workers left, send what Redis lost, let go of what has expired."""
    store = the_worker().store
    lost = expired = sent = 0
    with _left_to_the_sweep():
        lost, expired = store.sweep.hand_on_lost(), store.sweep.expire()
        sent = _send_waiting(store)
    if lost or expired or sent:
        log.info("swept", handed_on=lost, expired=expired, sent_again=sent)


def _send_waiting(store: Store) -> int:
    """Send the waiting jobs that no message stands for. How many."""
    try:
        waiting = store.sweep.unsent(queue_length())
        for job_id in waiting:
            send_upscale(job_id)
            store.jobs.mark_sent(job_id)
    except BrokerUnavailable as error:
        log.warning("sweep could not send", reason=str(error))
        return 0
    return len(waiting)


@app.task(name="clean_up")
def clean_up() -> None:
    """Remove the files of no job, and the jobs that ended long ago, with their batches."""
    worker = the_worker()
    store = worker.store
    files = jobs = 0
    with _left_to_the_sweep():
        files += store.uploads.remove_unowned(store.sweep.owned_uploads())
        files += store.results.remove_unowned(store.sweep.owned_results())
        store.particulars.remove_left_over()
        kept = timedelta(seconds=worker.settings.task_ttl)
        jobs = store.sweep.forget(kept)
        store.batches.forget(kept)
    if files or jobs:
        log.info("cleaned up", files=files, jobs=jobs)


@contextmanager
def _left_to_the_sweep() -> Iterator[None]:
    """While MongoDB is away there is nothing to be done: what is left undone here, a later sweep finds."""
    try:
        yield
    except StoreUnavailable as error:
        log.warning("left to the next sweep", reason=error.detail)
