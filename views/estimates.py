"""When a task will be done, judged by how fast the last ones were."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mongo.job_store import JobStore, Pace
from mongo.jobs import Job, Status

FRESH = 5.0  # s that a measured pace is good for
SHORTEST, LONGEST = 1, 60  # s; bounds of Retry-After
TRUSTED_SHARE = 0.1  # of a task's progress, from which on its own pace says more than that of others


@dataclass(frozen=True)
class Estimate:
    """What is thought of a task's end."""

    position: int | None  # 1 is the next in the queue; None once it has begun
    seconds_left: float

    @property
    def eta(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds_left)

    @property
    def retry_after(self) -> int:
        """Seconds after which asking again makes sense."""
        return min(max(SHORTEST, math.ceil(self.seconds_left)), LONGEST)


@dataclass
class Estimator:
    """Estimates for the tasks of one store. The pace is measured anew every few seconds at most."""

    jobs: JobStore
    _pace: Pace | None = field(default=None, init=False)
    _measured_at: float = field(default=-math.inf, init=False)

    def of(self, job: Job) -> Estimate:
        """When `job`, which waits or runs, will be done."""
        pace = self._present_pace()
        if job.status is Status.PENDING:
            ahead = self.jobs.ahead_of(job)
            return Estimate(ahead + 1, pace.seconds_each * (ahead / pace.at_once + 1))
        elapsed = (datetime.now(UTC) - (job.started_at or job.created_at)).total_seconds()
        if job.progress >= TRUSTED_SHARE:
            return Estimate(None, elapsed * (1 - job.progress) / job.progress)
        return Estimate(None, max(0.0, pace.seconds_each - elapsed))

    def until_there_is_room(self) -> int:
        """Seconds after which a full queue will have taken a step."""
        pace = self._present_pace()
        return min(max(SHORTEST, math.ceil(pace.seconds_each / pace.at_once)), LONGEST)

    def _present_pace(self) -> Pace:
        now = time.monotonic()
        if self._pace is None or now - self._measured_at > FRESH:
            self._pace, self._measured_at = self.jobs.pace(), now
        return self._pace
