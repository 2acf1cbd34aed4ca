"""Spans of time, and how much of one lies within others."""

from __future__ import annotations

from collections.abc import Iterable

Spans = Iterable[tuple[float, float]]
"""Beginnings and ends."""


def overlap(began: float, ended: float, spans: Spans) -> float:
    """Seconds between `began` and `ended` that are within any of the spans, each second counted once."""
    covered, reached = 0.0, began
    for first, last in sorted(spans):
        first, last = max(first, reached), min(last, ended)
        if last > first:
            covered += last - first
            reached = last
    return covered
