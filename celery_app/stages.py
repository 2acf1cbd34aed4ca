"""Where a task's time goes: the seconds that each of its stages took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

Stage = Literal["fetch", "decode", "upscale", "encode", "describe", "store"]


class Stages:
    """A stopwatch of one thread: `with stages("decode"): …`.

    One stage within another stops the outer one for as long, so their times add up to that of the task.
    """

    def __init__(self) -> None:
        self._seconds: dict[Stage, float] = defaultdict(float)
        self._present: Stage | None = None
        self._since = 0.0

    @contextmanager
    def __call__(self, stage: Stage) -> Iterator[None]:
        """Time what is done within as `stage`, which may be entered several times."""
        outer = self._present
        self._go_to(stage)
        try:
            yield
        finally:
            self._go_to(outer)

    @property
    def seconds(self) -> Mapping[Stage, float]:
        """Of each stage that was begun."""
        return self._seconds

    @property
    def milliseconds(self) -> dict[str, int]:
        """The same for a log line."""
        return {f"{stage}_ms": round(seconds * 1000) for stage, seconds in self._seconds.items()}

    def _go_to(self, stage: Stage | None) -> None:
        now = time.perf_counter()
        if self._present:
            self._seconds[self._present] += now - self._since
        self._present, self._since = stage, now
