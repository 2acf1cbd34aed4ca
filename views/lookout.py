"""How the waiting requests of a process learn of their jobs' changes: one thread listens and reads for them all.

Redis says which job changed, MongoDB how. What Redis loses is found by looking through the watched jobs every
few seconds, so nobody waits in vain.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import structlog

from celery_app import BrokerUnavailable
from celery_app.announcements import Listener
from mongo.job_store import JobStore
from mongo.jobs import Job, Status
from utils.errors import StoreUnavailable, TooManyStreams
from views.http_measures import OPEN_STREAMS

log = structlog.get_logger()

LOOK_EVERY = 2.0  # s; so late is a change noticed at most that Redis told nobody of
RECONNECT_AFTER = 1.0  # s
RETRY_AFTER = 10  # s; streams end when their tasks do
ENDED_KEPT = 1000  # ids
TOLD_AT_ONCE = 20  # watches; see `_show`
BREATH = 0.003  # s

Moment = tuple[int, int, float]


def moment(job: Job) -> Moment:
    """Where in its life a job is; the later the greater. One whose worker was lost waits again, in the same attempt."""
    stage = {Status.STARTED: 0, Status.PENDING: 1}.get(job.status, 2)
    return job.attempt, stage, job.progress


@dataclass(eq=False)
class Sight:
    """A job as it was seen once, for all who watch it: what they make of it is made once too."""

    job: Job
    _made: str | None = field(default=None, init=False)

    def as_text(self, make: Callable[[Job], str]) -> str:
        """What `make` makes of the job."""
        if self._made is None:
            self._made = make(self.job)
        return self._made


@dataclass(frozen=True)
class News:
    """A job's state that a watch has not been told yet."""

    sight: Sight
    is_first: bool  # the watch has heard nothing of this job before

    @property
    def job(self) -> Job:
        return self.sight.job


class Watch:
    """The news for one waiting request: of each job the newest state, however many there were since it last asked.

    A context manager: leave it when nobody waits any longer.
    """

    def __init__(self, lookout: Lookout, topics: Collection[str]) -> None:
        self.topics = topics
        self._lookout = lookout
        self._changed = threading.Condition()
        self._news: dict[str, News] = {}
        self._told: dict[str, Moment] = {}  # of the jobs under way
        self._ended: deque[str] = deque(maxlen=ENDED_KEPT)
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Nobody waits any longer."""
        self._lookout.forget(self)

    def tell(self, sight: Sight) -> None:
        """Make news of what was seen, unless it is as old as what was told before."""
        job = sight.job
        with self._changed:
            before = self._told.get(job.id)
            if job.id in self._ended or (before and before >= moment(job)):
                return
            waiting = self._news.get(job.id)
            self._news[job.id] = News(sight, is_first=waiting.is_first if waiting else before is None)
            self.know(job)
            self._changed.notify()

    def know(self, job: Job) -> None:
        """Take the present state of `job` as told already."""
        if job.status.is_final:
            self._told.pop(job.id, None)
            self._ended.append(job.id)
        else:
            self._told[job.id] = moment(job)

    def end(self) -> None:
        """Let the one who waits go."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def next(self, timeout: float) -> News | None:
        """The next news; None when there was none for `timeout` seconds, or the watch is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._is_over, timeout)
            return self._news.pop(next(iter(self._news))) if self._news else None

    def news(self, patience: float) -> Iterator[News | None]:
        """All news, as they come; None whenever there was none for `patience` seconds. Ends with the watch."""
        while (news := self.next(patience)) or not self._is_over:
            yield news


class Lookout:
    """All watches of this process.

    Args:
        most_watches: how many there may be at once: each takes a thread of the web server.
    """

    def __init__(self, jobs: JobStore, listener: Listener, most_watches: int) -> None:
        self._jobs = jobs
        self._listener = listener
        self._most_watches = most_watches
        self._lock = threading.Lock()
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._running: dict[str, set[str]] = {}  # of each watched owner the jobs that had not ended at the last look
        self._count = 0
        self._thread: threading.Thread | None = None
        self._is_over = False

    def watch_job(self, job: Job, *, is_known: bool = False) -> Watch:
        """Watch one job, from its present state on. `is_known`: that `job` stands as it does is no news.

        Raises:
            TooManyStreams: there are as many watches as there may be.
        """
        watch = self._enter(f"job {job.id}")
        if is_known:
            watch.know(job)
        # It may have changed between the caller's reading and the entering.
        with suppress(StoreUnavailable):
            job = self._jobs.get(job.owner, job.id) or job
        watch.tell(Sight(job))
        return watch

    def watch_jobs(self, jobs: Collection[Job]) -> Watch:
        """Watch several jobs. That they stand as they do is no news.

        Raises:
            TooManyStreams: there are as many watches as there may be.
        """
        watch = self._enter(*(f"job {job.id}" for job in jobs))
        for job in jobs:
            watch.know(job)
        with suppress(StoreUnavailable):
            for job in self._jobs.many([job.id for job in jobs]):
                watch.tell(Sight(job))
        return watch

    def watch_owner(self, owner: str) -> Watch:
        """Watch all jobs of `owner`: first those that wait or run, then every change.

        Raises:
            TooManyStreams: there are as many watches as there may be.
        """
        watch = self._enter(f"owner {owner}")
        with suppress(StoreUnavailable):  # the next look tells
            for job in self._jobs.running(owner):
                watch.tell(Sight(job))
        return watch

    def forget(self, watch: Watch) -> None:
        """Tell `watch` nothing more. Once is enough, and twice does no harm."""
        with self._lock:
            if any(watch in self._watches[topic] for topic in watch.topics):
                self._count -= 1
                OPEN_STREAMS.dec()
            for topic in watch.topics:
                self._watches[topic].discard(watch)
                if not self._watches[topic]:
                    del self._watches[topic]

    def end(self) -> None:
        """Let everybody go: the process is about to stop."""
        self._is_over = True
        for watch in self._all_of(list(self._watches)):
            watch.end()

    def _enter(self, *topics: str) -> Watch:
        watch = Watch(self, topics)
        with self._lock:
            if self._count >= self._most_watches:
                raise TooManyStreams(
                    f"{self._count} streams are open here, which is all there can be. Ask GET /tasks/<id> instead.",
                    retry_after=RETRY_AFTER,
                )
            self._count += 1
            OPEN_STREAMS.inc()
            for topic in topics:
                self._watches[topic].add(watch)
            if self._thread is None:  # here and not at the start: a thread does not survive a fork
                self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)
                self._thread.start()
        if self._is_over:
            watch.end()
        return watch

    def _run(self) -> None:
        look_at = time.monotonic()
        while not self._is_over:
            try:
                self._hear(max(0.0, look_at - time.monotonic()))
                if time.monotonic() >= look_at:
                    self._look()
                    look_at = time.monotonic() + LOOK_EVERY
            except StoreUnavailable as error:
                log.warning("watched tasks cannot be read", reason=error.detail)
                time.sleep(RECONNECT_AFTER)
            except Exception:
                # Whatever it was: without this thread nobody would be told anything any more.
                log.exception("unforeseen error in the lookout")
                time.sleep(RECONNECT_AFTER)

    def _hear(self, timeout: float) -> None:
        """Wait for announcements, and tell of the jobs they name if somebody watches them."""
        try:
            heard = self._listener.hear(timeout)
        except BrokerUnavailable:
            time.sleep(min(timeout, RECONNECT_AFTER))
            return
        topics = self._topics()
        self._read({job_id for owner, job_id in heard if {f"owner {owner}", f"job {job_id}"} & topics})

    def _look(self) -> None:
        """Read whatever is watched, and tell of what has changed."""
        topics = self._topics()
        job_ids = {topic.removeprefix("job ") for topic in topics if topic.startswith("job ")}
        owners = {topic.removeprefix("owner ") for topic in topics if topic.startswith("owner ")}
        self._running = {owner: self._look_at(owner) for owner in owners}
        self._read(job_ids)

    def _look_at(self, owner: str) -> set[str]:
        """Tell of the owner's jobs that run, and of those that did at the last look. The ids of the former."""
        running = {job.id: job for job in self._jobs.running(owner)}
        for job in running.values():
            self._show(job, [f"owner {owner}"])
        self._read(self._running.get(owner, set()) - running.keys())
        return set(running)

    def _read(self, job_ids: set[str]) -> None:
        for job in self._jobs.many(job_ids) if job_ids else []:
            self._show(job, [f"job {job.id}", f"owner {job.owner}"])

    def _show(self, job: Job, topics: list[str]) -> None:
        """Tell all watches of the topics, a few at a time.

        Where a thousand threads want the interpreter at once, nobody else gets it for a second.
        """
        sight = Sight(job)
        for number, watch in enumerate(self._all_of(topics), 1):
            watch.tell(sight)
            if number % TOLD_AT_ONCE == 0:
                time.sleep(BREATH)

    def _topics(self) -> set[str]:
        with self._lock:
            return set(self._watches)

    def _all_of(self, topics: list[str]) -> list[Watch]:
        with self._lock:
            return [watch for topic in topics for watch in self._watches.get(topic, ())]
