"""The geometry of working through a picture in tiles. Whole pixels, no arrays.

A tile reads a window that is larger than what it writes by the context the network sees, clipped at
the picture's edges.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """Pixels `start` to `stop` - 1 along one side."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    def widened(self, context: int, length: int, multiple: int = 1) -> Span:
        """With `context` more pixels on either side, within 0..length, from a multiple of `multiple`."""
        start = max(0, self.start - context) // multiple * multiple
        return Span(start, min(length, self.stop + context))

    def within(self, window: Span) -> slice:
        """Where these pixels are in an array that begins at the window's start."""
        return slice(self.start - window.start, self.stop - window.start)

    def times(self, factor: int) -> Span:
        return Span(self.start * factor, self.stop * factor)


class Tile(NamedTuple):
    """A rectangle of the picture."""

    rows: Span
    columns: Span

    @property
    def area(self) -> int:
        return self.rows.length * self.columns.length

    def halves(self) -> tuple[Tile, Tile]:
        """The two halves across the longer side, which is at least 2 px."""
        if self.rows.length > self.columns.length:
            first, second = spans(self.rows, -(-self.rows.length // 2))
            return Tile(first, self.columns), Tile(second, self.columns)
        first, second = spans(self.columns, -(-self.columns.length // 2))
        return Tile(self.rows, first), Tile(self.rows, second)


def spans(whole: Span, most: int) -> list[Span]:
    """Cut `whole` into the fewest spans of at most `most` px, of sizes that differ by one at most."""
    count = -(-whole.length // most)
    cuts = [whole.start + whole.length * index // count for index in range(count + 1)]
    return [Span(start, stop) for start, stop in pairwise(cuts)]
