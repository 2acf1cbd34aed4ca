"""What workers and the sweep count, for operators: the name of each number, its labels, and what it means.

Workers come and go, run on other machines, and have no address of their own. So they open no port for metrics:
each adds what it counted to sums in MongoDB (`mongo.tallies`), which both sides have to reach anyway, and
`/metrics` of any web process reads them there. That gives one place to look at, the same with `make run`, with
compose and on many machines; and sums that outlive every process, so that a worker that dies takes nothing back
and leaves nothing wrong behind. What is lost is what was counted within the task of a worker that is killed.

Once released, a histogram's bounds stay as they are: sums are kept by a bucket's place among them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import structlog

from mongo.tallies import Key, Tally, TallyStore
from utils.errors import StoreFull, StoreUnavailable

log = structlog.get_logger()


@dataclass(frozen=True)
class Counter:
    """A number of things that happened.

    Args:
        values: of its one label, where they are few and known: each is shown from the start, as 0.
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def first_keys(self) -> list[Key]:
        """The sums that are shown before anything was counted."""
        if not self.labels:
            return [Key(self.name)]
        return [Key(self.name, (value,)) for value in self.values]


@dataclass(frozen=True)
class Histogram:
    """How often something took how long, in seconds."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]  # inclusive upper ones; what is more falls into one bucket more

    def place(self, value: float) -> int:
        """Of the bucket that `value` falls into."""
        return bisect_left(self.bounds, value)


STAGE_SECONDS = Histogram(
    "upscaler_stage_seconds",
    "Seconds that each stage of a task took: fetch, decode, upscale, encode (what is left of it after "
    "upscaling, which it runs beside), describe, store.",
    ("stage", "model"),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
ATTEMPTS = Counter(
    "upscaler_attempts_total",
    "Attempts of workers that ended, by how: success, failure, stale, handed_back or retried.",
    ("outcome", "model"),
)
INPUT_MEGAPIXELS = Counter(
    "upscaler_input_megapixels_total", "Millions of pixels of the sources of finished tasks.", ("model",)
)
OUTPUT_MEGAPIXELS = Counter("upscaler_output_megapixels_total", "Millions of pixels of results.", ("model",))
FAILURES = Counter("upscaler_task_failures_total", "Tasks that ended as FAILURE, by their error's code.", ("code",))
WORKER_LOST = Counter(
    "upscaler_worker_lost_total", "Attempts whose worker fell silent, found by the sweep: killed, frozen or cut off."
)
SWEEPS = Counter("upscaler_sweeps_total", "Sweeps that were carried through.", ("kind",), ("sweep", "clean_up"))
SWEPT = Counter(
    "upscaler_swept_total",
    "What sweeps did, and what clean-ups removed, each counted in what it is about: tasks, files, folders.",
    ("action",),
    (
        *("handed_on", "failed", "expired", "let_go", "sent_again"),
        *("uploads", "results", "particulars", "temp_folders", "tasks", "batches"),
    ),
)
CALLBACKS = Counter(
    "upscaler_callbacks_total",
    "Tries at callbacks: delivered, put_off to be tried again, given_up, or unwanted (answered with 410).",
    ("outcome",),
    ("delivered", "put_off", "given_up", "unwanted"),
)

MEASURES = (
    STAGE_SECONDS,
    ATTEMPTS,
    INPUT_MEGAPIXELS,
    OUTPUT_MEGAPIXELS,
    FAILURES,
    WORKER_LOST,
    SWEEPS,
    SWEPT,
    CALLBACKS,
)


class Counts:
    """What this process counted since it last handed over. Any thread may count, and none waits or fails by it."""

    def __init__(self, tallies: TallyStore) -> None:
        self._tallies = tallies
        self._lock = Lock()
        self._counted: dict[Key, Tally] = {}

    def add(self, counter: Counter, *labels: str, amount: float = 1) -> None:
        """Count `amount` things."""
        if amount:
            self._merge({Key(counter.name, labels): Tally(amount)})

    def observe(self, histogram: Histogram, *labels: str, value: float) -> None:
        """Count one thing that took `value`."""
        self._merge({Key(histogram.name, labels): Tally(value, {histogram.place(value): 1})})

    def hand_over(self) -> None:
        """Add to the sums in MongoDB. While it is away, what was counted is kept for the next time."""
        with self._lock:
            counted, self._counted = self._counted, {}
        try:
            self._tallies.add(counted)
        except (StoreUnavailable, StoreFull) as error:
            self._merge(counted)
            log.debug("counts not handed over", reason=error.detail)

    def _merge(self, counted: Mapping[Key, Tally]) -> None:
        with self._lock:
            for key, tally in counted.items():
                self._counted.setdefault(key, Tally()).add(tally)
