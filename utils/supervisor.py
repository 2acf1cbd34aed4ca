"""Programs that are started again when they end, after a pause that grows, until one of them will not run at all."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from utils.processes import ChildProcess, ProgramError

LOOK_EVERY = 0.2  # s
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # s
STEADY = 20.0  # s; one that ran for so long is no longer ending over and over
MOST_QUICK_ENDS = 5


def keep_running(children: Sequence[ChildProcess]) -> None:
    """Start again whichever of the running programs ends, for ever.

    Raises:
        ProgramError: one ended MOST_QUICK_ENDS times in a row soon after its start; with its last words.
    """
    watched = [_Watched(child) for child in children]
    while True:
        for each in watched:
            each.look(time.monotonic())
        time.sleep(LOOK_EVERY)


@dataclass
class _Watched:
    """One program. All times are by the monotonic clock."""

    child: ChildProcess
    started_at: float = field(default_factory=time.monotonic)
    start_at: float | None = None  # while it waits to be started again
    quick_ends: int = 0  # in a row

    def look(self, now: float) -> None:
        """See whether it has ended, or is to be started by now."""
        if self.start_at is None:
            if self.child.has_ended():
                self._note_end(now)
        elif now >= self.start_at:
            self.child.start()
            self.started_at, self.start_at = now, None

    def _note_end(self, now: float) -> None:
        self.quick_ends = self.quick_ends + 1 if now - self.started_at < STEADY else 1
        if self.quick_ends >= MOST_QUICK_ENDS:
            raise ProgramError(f"{self.child.name} ends as soon as it is started. {self.child.obituary()}")
        pause = min(FIRST_PAUSE * 2 ** (self.quick_ends - 1), LONGEST_PAUSE)
        print(f"{self.child.obituary()}\nStarting it again in {pause:g} s…", file=sys.stderr, flush=True)
        self.start_at = now + pause
