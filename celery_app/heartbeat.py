"""The sign of life that a worker gives while it holds a job, and its ear for being told to stop."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import structlog

from mongo.jobs import Job, JobStore, StaleAttempt
from utils.errors import StoreUnavailable

log = structlog.get_logger()

INTERVAL = 1.0  # s; so fresh is the progress, and so soon is a cancel noticed


class JobCancelled(Exception):  # noqa: N818 - a request that was granted
    """The job's owner asked for it to be stopped."""


class Heartbeat:
    """Renews the lease of `job` from a thread, so that a long decode or download does not lose it.

    Use as a context manager, and give `beat.progress` to whatever does the work: it raises JobCancelled or
    StaleAttempt at the next tile once the job is to be stopped.
    """

    def __init__(self, jobs: JobStore, job: Job) -> None:
        self._jobs = jobs
        self._job = job
        self._progress = 0.0
        self._verdict: JobCancelled | StaleAttempt | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{job.id}", daemon=True)

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
            JobCancelled, StaleAttempt: stop here.
        """
        self._progress = fraction
        if self._verdict is not None:
            raise self._verdict

    def _run(self) -> None:
        while not self._over.wait(INTERVAL):
            try:
                if self._jobs.heartbeat(self._job, self._progress):
                    self._verdict = JobCancelled(self._job.id)
            except StaleAttempt as stale:
                self._verdict = stale
                return
            except StoreUnavailable as error:
                # The lease may run out meanwhile. Then the next beat says so.
                log.warning("heartbeat missed", task_id=self._job.id, reason=error.detail)
