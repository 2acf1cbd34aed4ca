"""The service's present state in numbers, read from MongoDB and Redis for `/metrics`.

What cannot be read is left out, and told of by `upscaler_dependency_up`: a scrape is answered all the same, in
a few seconds at most. All scrapes within FRESH seconds share one reading.
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

import pymongo
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import INF, floatToGoString

from celery_app import BrokerUnavailable, queue_length
from celery_app.measures import MEASURES, SWEEPS, Counter, Histogram
from mongo import Store
from mongo.tallies import Key, Recorded, Tally
from utils.errors import ServiceError
from utils.settings import Settings
from utils.version import VERSION

FRESH = 5.0  # s
PATIENCE = 2.0  # s for all that is asked of MongoDB


class Figures(Collector):
    """What is asked of MongoDB and Redis at a scrape, as metrics."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._read_at = -FRESH

    def collect(self) -> list[Metric]:
        """All that can be read, at most FRESH seconds old."""
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH:
                self._metrics = self._read()
                self._read_at = time.monotonic()
            return self._metrics

    def _read(self) -> list[Metric]:
        from_mongo, from_redis = _unless_away(self._from_mongo), _unless_away(self._from_redis)
        up = {("mongo",): float(bool(from_mongo)), ("redis",): float(bool(from_redis))}
        meaning = "1 if it answered this web server, else 0."
        return [
            _labelled("upscaler_dependency_up", meaning, ["dependency"], up.items()),
            *self._constants(),
            *from_mongo,
            *from_redis,
        ]

    def _constants(self) -> Iterable[Metric]:
        versions = [((VERSION, platform.python_version()), 1.0)]
        yield _labelled("upscaler_build_info", "Always 1; the labels say what runs.", ["version", "python"], versions)
        if quota := self._settings.store_quota_bytes:
            yield _gauge("upscaler_store_quota_bytes", "STORE_QUOTA_BYTES; not there where it is unset.", quota)

    def _from_mongo(self) -> Iterable[Metric]:
        census = self._store.census
        with pymongo.timeout(PATIENCE):
            queue, tasks, kept = census.queue(), census.tasks(), census.kept_bytes()
            sums = self._store.tallies.all()
        yield _gauge("upscaler_queue_length", "Tasks that wait for a worker.", queue.length)
        yield _gauge(
            "upscaler_queue_head_age_seconds",
            "Seconds since the oldest of the waiting tasks was uploaded; 0 if none waits.",
            queue.head_age,
        )
        yield _labelled("upscaler_tasks", "Tasks in the store.", ["status", "model"], tasks.items())
        by_bucket = (((bucket,), size) for bucket, size in kept.items())
        yield _labelled("upscaler_store_bytes", "Bytes kept in MongoDB, uncompressed.", ["bucket"], by_bucket)
        yield from _counted(sums)

    def _from_redis(self) -> Iterable[Metric]:
        meaning = "Messages in Redis that are to tell workers of waiting tasks."
        yield _gauge("upscaler_queue_messages", meaning, queue_length())


def _unless_away(read: Callable[[], Iterable[Metric]]) -> list[Metric]:
    """What `read` tells, or nothing where what it reads from does not answer."""
    try:
        return list(read())
    except (ServiceError, BrokerUnavailable):
        return []


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _labelled(name: str, meaning: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]) -> Metric:
    """A gauge with a value for each combination of labels."""
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def _counted(sums: Iterable[Recorded]) -> Iterable[Metric]:
    """What workers and sweeps counted, each of MEASURES with all its labels."""
    by_key = {recorded.key: recorded for recorded in sums}
    for measure in MEASURES:
        tallies = {key: recorded.tally for key, recorded in by_key.items() if key.name == measure.name}
        if isinstance(measure, Histogram):
            yield _histogram(measure, tallies)
        else:
            yield _counter(measure, {key: Tally() for key in measure.first_keys} | tallies)
    swept = ((key.labels, found.changed_at.timestamp()) for key, found in by_key.items() if key.name == SWEEPS.name)
    yield _labelled("upscaler_last_sweep_timestamp_seconds", "When a sweep ended last, in Unix time.", ["kind"], swept)


def _counter(measure: Counter, tallies: Mapping[Key, Tally]) -> Metric:
    family = CounterMetricFamily(measure.name, measure.meaning, labels=measure.labels)
    for key, tally in tallies.items():
        family.add_metric(key.labels, tally.value)
    return family


def _histogram(measure: Histogram, tallies: Mapping[Key, Tally]) -> Metric:
    family = HistogramMetricFamily(measure.name, measure.meaning, labels=measure.labels)
    bounds = [floatToGoString(bound) for bound in (*measure.bounds, INF)]
    for key, tally in tallies.items():
        counts = accumulate(tally.buckets.get(place, 0) for place in range(len(bounds)))
        family.add_metric(key.labels, list(zip(bounds, counts, strict=True)), sum_value=tally.value)
    return family
