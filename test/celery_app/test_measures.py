"""Counting in a worker: what it counts reaches the store, also after the store was away."""

from __future__ import annotations

from celery_app.measures import MEASURES, STAGE_SECONDS, SWEEPS, SWEPT, Counts, Histogram
from mongo import Store, open_store
from mongo.tallies import Key, Tally
from utils.local_services import free_port
from utils.settings import Settings


def sums(store: Store) -> dict[Key, Tally]:
    return {recorded.key: recorded.tally for recorded in store.tallies.all()}


def test_what_was_counted_is_handed_over_once(store: Store) -> None:
    counts = Counts(store.tallies)
    counts.add(SWEPT, "expired", amount=3)
    counts.add(SWEPT, "expired", amount=0)
    counts.add(SWEEPS, "sweep")
    counts.hand_over()
    counts.hand_over()
    assert sums(store) == {Key(SWEPT.name, ("expired",)): Tally(3), Key(SWEEPS.name, ("sweep",)): Tally(1)}


def test_seconds_fall_into_the_bucket_whose_bound_they_do_not_exceed(store: Store) -> None:
    counts = Counts(store.tallies)
    for seconds in (0.001, 0.005, 0.006, 1e9):
        counts.observe(STAGE_SECONDS, "decode", "fast", value=seconds)
    counts.hand_over()
    [tally] = sums(store).values()
    assert tally.buckets == {0: 2, 1: 1, len(STAGE_SECONDS.bounds): 1}


def test_what_the_store_did_not_take_is_kept_for_the_next_time(store: Store) -> None:
    away = open_store(Settings(_env_file=None, mongo_url=f"mongodb://127.0.0.1:{free_port()}/?directConnection=true"))
    counts = Counts(away.tallies)
    counts.add(SWEEPS, "sweep")
    counts.hand_over()
    away.close()
    counts._tallies = store.tallies  # it is back
    counts.add(SWEEPS, "sweep")
    counts.hand_over()
    assert sums(store) == {Key(SWEEPS.name, ("sweep",)): Tally(2)}


def test_every_measure_is_named_as_prometheus_wants_it() -> None:
    for measure in MEASURES:
        assert measure.name.startswith("upscaler_")
        assert measure.name.endswith("_seconds" if isinstance(measure, Histogram) else "_total")
