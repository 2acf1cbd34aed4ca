"""Waiting, in the middle of a task, for a MongoDB that is away: a picture that is half made is worth some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from utils.errors import StoreUnavailable

T = TypeVar("T")

log = structlog.get_logger()

PATIENCE = 60.0  # s; a replica set has a new primary in ten, a server that was killed is back in less
PAUSE = 1.0  # s


def patiently(act: Callable[[], T], check: Callable[[], object] = lambda: None) -> T:
    """What `act` returns, which is tried again for as long as MongoDB is away: a minute at most.

    Args:
        act: does no harm when it is done twice.
        check: raises what is to end the waiting.

    Raises:
        StoreUnavailable: it stayed away.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except StoreUnavailable as error:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting for the store", reason=error.detail)
        time.sleep(PAUSE)
        check()
