"""Upkeep: the sweep, which looks after jobs every few seconds, and the clean-up, which removes what nobody needs.

Both may be run at any time, by anybody, as often as wanted, and by several at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import structlog

from celery_app import BrokerUnavailable, queue_length, send_upscale
from celery_app.measures import FAILURES, SWEEPS, SWEPT, WORKER_LOST, Counts
from mongo import Store
from utils.errors import WorkerLost
from utils.settings import Settings
from utils.temp_folder import remove_abandoned

log = structlog.get_logger()

SENDING_TAKES = 3.0  # s at most, from the making of a job until its message is in the queue

ENDED = {"sweep": "swept", "clean_up": "cleaned up"}


def sweep(store: Store, settings: Settings) -> dict[str, int]:
    """Hand on what dead workers left, send what Redis lost, let go of what is over. What was done, in numbers.

    Raises:
        StoreUnavailable: the rest is left to the next sweep.
    """
    lost = store.sweep.hand_on_lost()
    quota = settings.store_quota_bytes
    done = {
        "handed_on": lost.handed_on,
        "failed": lost.failed,
        "expired": store.sweep.expire(),
        "let_go": store.sweep.make_room(quota) if quota else 0,
        "sent_again": _send_waiting(store, settings),
    }
    counts = Counts(store.tallies)
    counts.add(WORKER_LOST, amount=lost.handed_on + lost.failed)
    counts.add(FAILURES, WorkerLost.code, amount=lost.failed)
    _tell("sweep", done, counts)
    return done


def clean_up(store: Store, settings: Settings) -> dict[str, int]:
    """Remove what belongs to nobody: bytes in MongoDB, files on this machine, and what ended long ago.

    Raises:
        StoreUnavailable: the rest is left to the next clean-up.
    """
    kept = timedelta(seconds=settings.task_ttl)
    done = {
        "uploads": store.uploads.remove_unowned(store.sweep.owned_uploads()),
        "results": store.results.remove_unowned(store.sweep.owned_results()),
        "particulars": store.particulars.remove_left_over(),
        "temp_folders": remove_abandoned(),
        "tasks": store.sweep.forget(kept),
        "batches": store.batches.forget(kept),
    }
    _tell("clean_up", done, Counts(store.tallies))
    return done


def _send_waiting(store: Store, settings: Settings) -> int:
    """Send the waiting jobs that no message stands for. How many."""
    patience = timedelta(seconds=max(SENDING_TAKES, settings.sweep_seconds))
    sent = 0
    try:
        for job_id in store.sweep.unsent(queue_length(), patience):
            send_upscale(job_id)
            store.jobs.mark_sent(job_id)
            sent += 1
    except BrokerUnavailable as error:
        log.warning("sweep could not send", reason=str(error))
    return sent


def _tell(kind: str, done: Mapping[str, int], counts: Counts) -> None:
    """Count a round and what it did, for operators, and log a line of what there was to do."""
    counts.add(SWEEPS, kind)
    for action, number in done.items():
        counts.add(SWEPT, action, amount=number)
    counts.hand_over()
    if any(done.values()):
        log.info(ENDED[kind], **{action: number for action, number in done.items() if number})
