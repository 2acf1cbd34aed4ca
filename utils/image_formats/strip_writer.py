"""Taking a picture's rows as they come and encoding them in strips, on threads, in order."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Part = TypeVar("Part")

_MOST_THREADS = 4  # beyond, the encoder is no longer what a job waits for


@dataclass(frozen=True)
class Layout:
    """The shape of a picture's pixels.

    Args:
        width: pixels.
        height: pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
        bits: 8 or 16 a channel.
    """

    width: int
    height: int
    channels: int
    bits: int = 8

    @classmethod
    def of(cls, pixels: Pixels) -> Layout:
        """The layout of an (H, W) or (H, W, C) array."""
        channels = 1 if pixels.ndim == 2 else int(pixels.shape[2])
        return cls(int(pixels.shape[1]), int(pixels.shape[0]), channels, pixels.dtype.itemsize * 8)

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.channels in (2, 4)

    def rows(self, count: int) -> Pixels:
        """An array for that many rows: (count, W, C)."""
        shape = (count, self.width, self.channels)
        return np.empty(shape, np.uint8) if self.bits == 8 else np.empty(shape, np.uint16)


class StripWriter(ABC, Generic[Part]):
    """Base of the encoders that can begin before the last row is there.

    Rows are copied, so what is handed in may be changed at once. A strip is encoded on one of a few
    threads as soon as it is full, and written in its turn by the thread that hands in rows; memory stays
    at a few strips. Use it as a context: leaving it finishes the file, or, after an exception, does not.

    Args:
        layout: of the whole picture.
        strip_rows: rows encoded at a time.
    """

    def __init__(self, layout: Layout, strip_rows: int) -> None:
        self._layout = layout
        self._strip_rows = min(strip_rows, layout.height)
        self._strip = layout.rows(self._strip_rows)
        self._filled = 0  # rows of the present strip
        self._taken = 0  # rows of the whole picture
        self._threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="encode")
        self._in_flight: deque[Future[Part]] = deque()

    @abstractmethod
    def _encode(self, strip: Pixels) -> Part:
        """Encode (n, W, C) pixels, on any thread and in any order."""

    @abstractmethod
    def _write(self, part: Part) -> None:
        """Write an encoded strip; called in order."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what stands behind the last strip."""

    def write_rows(self, rows: Pixels) -> None:
        """Take the next rows: (n, W) or (n, W, C), of the depth announced.

        Raises:
            ValueError: rows of another shape or depth, or more than were announced.
        """
        rows = rows.reshape(len(rows), self._layout.width, self._layout.channels)
        if rows.dtype != self._strip.dtype or self._taken + len(rows) > self._layout.height:
            raise ValueError(f"{rows.shape} rows of {rows.dtype} do not fit {self._layout} at row {self._taken}")
        while len(rows):
            taken = rows[: self._strip_rows - self._filled]
            self._strip[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            self._taken += len(taken)
            rows = rows[len(taken) :]
            if self._filled == self._strip_rows or self._taken == self._layout.height:
                self._submit()

    def close(self) -> None:
        """Finish the file.

        Raises:
            ValueError: rows are missing.
        """
        if self._taken != self._layout.height:
            raise ValueError(f"{self._taken} of {self._layout.height} rows were written")
        while self._in_flight:
            self._write(self._in_flight.popleft().result())
        self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _submit(self) -> None:
        self._in_flight.append(self._pool.submit(self._encode, self._strip[: self._filled]))
        self._strip = self._layout.rows(self._strip_rows)
        self._filled = 0
        while self._in_flight and (len(self._in_flight) > 2 * self._threads or self._in_flight[0].done()):
            self._write(self._in_flight.popleft().result())
