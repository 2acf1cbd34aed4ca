"""How many uploads a web process hashes and stores at once, once they are here.

Threads there are many more of, for streams that only wait: without this bound a crowd of uploads would have them all
at work, and all connections to MongoDB. Who sends slowly is still being read, and keeps nobody from a place.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from utils.errors import TooManyUploads

PATIENCE = 10.0  # s that an upload waits for its place
RETRY_AFTER = 5  # s


class UploadPlaces:
    """The places for uploads in this process."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    def take(self) -> Place:
        """A place, to be left by its holder.

        Raises:
            TooManyUploads: none became free in time.
        """
        if not self._free.acquire(timeout=PATIENCE):
            raise TooManyUploads("Many others are uploading right now. Try again.", retry_after=RETRY_AFTER)
        return Place(self._free)


class Place:
    """A place that is taken. A context manager, which can be left before its end."""

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free: threading.BoundedSemaphore | None = free

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Nothing is uploaded any more. Once is enough, and twice does no harm."""
        if self._free:
            self._free.release()
            self._free = None
