"""What is done about a server that failed to answer: nobody asks it again for a while, for each would wait in vain."""

from __future__ import annotations

import time


class Pause:
    """A while that can begin again and again. Any number of threads may use it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = 0.0

    def begin(self) -> None:
        self._ends = time.monotonic() + self._seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._ends
