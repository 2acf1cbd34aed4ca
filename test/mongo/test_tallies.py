"""Sums that many processes add to, on a real MongoDB."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from mongo import Store
from mongo.tallies import Key, Tally

UPSCALE = Key("seconds", ("upscale", "a.b$c"))  # a model's name may have what MongoDB's own names may not


def test_what_is_added_at_the_same_time_is_all_there(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        for _ in range(100):
            threads.submit(store.tallies.add, {UPSCALE: Tally(0.5, {2: 1}), Key("sweeps"): Tally(1)})
    sums = {recorded.key: recorded.tally for recorded in store.tallies.all()}
    assert sums == {UPSCALE: Tally(50.0, {2: 100}), Key("sweeps"): Tally(100.0)}


def test_a_sum_tells_when_it_changed(store: Store) -> None:
    store.tallies.add({Key("sweeps"): Tally(1)})
    [recorded] = store.tallies.all()
    assert abs(datetime.now(UTC) - recorded.changed_at) < timedelta(minutes=1)


def test_nothing_counted_is_nothing_written(store: Store) -> None:
    store.tallies.add({})
    assert store.tallies.all() == []
