"""Moments by MongoDB's own clock, as expressions for its filters and updates.

Clocks of machines differ, sometimes by hours. So what is decided by time is decided by the one clock that all share.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

Expression = Any

NOW: Expression = "$$NOW"


def from_now(time: timedelta) -> Expression:
    """The moment when `time` will have gone by."""
    return {"$add": [NOW, _milliseconds(time)]}


def ago(time: timedelta) -> Expression:
    """The moment since which `time` has gone by."""
    return {"$subtract": [NOW, _milliseconds(time)]}


def not_after(field: str, moment: Expression) -> Expression:
    """Whether a document's `field` is no later than `moment`; not so if it is missing or null."""
    return {"$and": [{"$gt": [f"${field}", None]}, {"$lte": [f"${field}", moment]}]}


def _milliseconds(time: timedelta) -> int:
    return round(time.total_seconds() * 1000)
