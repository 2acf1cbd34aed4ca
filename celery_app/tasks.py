"""The tasks, each a few lines: the logic is in `upscaling`, in `upkeep` and in the stores."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from celery import Task

from celery_app import app, clean_up_seconds, upkeep
from celery_app.upscaling import Untrustworthy, run_job
from celery_app.worker import the_worker
from utils.errors import StoreUnavailable

log = structlog.get_logger()
_log_context = structlog.contextvars.bound_contextvars

TOO_SOON = 0.5  # of the time between two sweeps


@app.task(name="upscale", bind=True)
def upscale(self: Task, job_id: str) -> None:
    """Make one picture. A message for a job that cannot be claimed is dropped."""
    worker = the_worker()
    named = self.request.get("request_id")  # the message's own; what the sweep sends again has none
    with _log_context(task_id=job_id, request_id=named), _left_to_the_sweep():
        job = worker.store.jobs.claim(job_id)
        if job is None:
            log.info("task dropped: nothing to claim")
            return
        with _log_context(attempt=job.attempt, request_id=job.request_id):
            try:
                run_job(worker, job)
            except Untrustworthy:
                sys.exit("this process ends, and another takes its place")


@app.task(name="sweep")
def sweep() -> None:
    """Look after the jobs, and clean up now and then.

    Nothing is done that was done just now: messages pile up while no worker is there.
    """
    store, settings = the_worker().store, the_worker().settings
    with _left_to_the_sweep():
        if store.sweep.begin("sweep", TOO_SOON * timedelta(seconds=settings.sweep_seconds)):
            upkeep.sweep(store, settings)
        if store.sweep.begin("clean_up", timedelta(seconds=clean_up_seconds(settings))):
            upkeep.clean_up(store, settings)


@contextmanager
def _left_to_the_sweep() -> Iterator[None]:
    """While MongoDB is away there is nothing to be done: what is left undone here, a later sweep finds."""
    try:
        yield
    except StoreUnavailable as error:
        log.warning("left to the next sweep", reason=error.detail)
