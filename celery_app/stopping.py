"""How a worker stops: what it is at goes on for STOP_SECONDS, and is then handed back for another to do."""

from __future__ import annotations

import mmap
import threading
from typing import Any

from celery.signals import worker_shutting_down

from utils.settings import load_settings


class Stopping(Exception):  # noqa: N818 - no error
    """This worker has to stop, and the job is to be handed back."""


# Shared with the processes that the worker forks. No lock goes with it: one who is killed would hold that for ever.
_time_is_over = mmap.mmap(-1, 1)


def check() -> None:
    """Raise Stopping if the time of what goes on here is over."""
    if _time_is_over[0]:
        raise Stopping


@worker_shutting_down.connect
def _give_some_time(**_: Any) -> None:
    """The worker, which forked the processes that work, was told to stop."""
    timer = threading.Timer(load_settings().stop_seconds, lambda: _time_is_over.write_byte(1))
    timer.daemon = True
    timer.start()
