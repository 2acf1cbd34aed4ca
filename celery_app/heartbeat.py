"""The sign of life that a worker gives while it holds a job, and its ear for being told to stop."""

from __future__ import annotations

import threading
from contextvars import copy_context
from types import TracebackType
from typing import Self

import structlog

from celery_app import stopping
from mongo.job_store import JobStore
from mongo.jobs import Job, StaleAttempt
from utils.errors import StoreUnavailable

log = structlog.get_logger()

INTERVAL = 1.0  # s; so fresh is the progress, and so soon is a cancel noticed


class Heartbeat:
    """Renews the lease of `job` from a thread, so that a long decode or download does not lose it.

    Use as a context manager, and give `beat.progress` to whatever does the work: it raises at the next tile
    once the job was cancelled or handed on, or this worker has to stop.
    """

    def __init__(self, jobs: JobStore, job: Job) -> None:
        self._jobs = jobs
        self._job = job
        self._progress = 0.0
        self._stale: StaleAttempt | None = None
        self._over = threading.Event()
        in_context = copy_context().run  # so that its log lines tell of the job as those of the task do
        self._thread = threading.Thread(target=in_context, args=[self._run], name=f"heartbeat-{job.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def progress(self, fraction: float) -> None:
        """Note that `fraction` (0..1) of the work is done.

        Raises:
            StaleAttempt: stop here.
            Stopping: likewise, and hand the job back.
        """
        self._progress = fraction
        self.check()

    def check(self) -> None:
        """Raise what `progress` does."""
        stopping.check()
        if self._stale is not None:
            raise self._stale

    def _run(self) -> None:
        while not self._over.wait(INTERVAL):
            try:
                self._jobs.heartbeat(self._job, self._progress)
            except StaleAttempt as stale:
                self._stale = stale
                return
            except StoreUnavailable as error:
                # The lease may run out meanwhile. Then the next beat says so.
                log.warning("heartbeat missed", reason=error.detail)
