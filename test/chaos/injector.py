"""Lets the faults happen: which and when is drawn from the seed, and spread evenly over the load."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from chaos.faults import KILLS, TROUBLES, Kind, Scene, impossible
from chaos.history import Fault, Recorder, now
from chaos.stack import Stack

PAUSE = (0.3, 1.5)  # s between two faults of a lane
TROUBLES_A_KILL = 0.5

Say = Callable[[str], None]


def plan(kinds: Sequence[Kind], count: int, chance: random.Random) -> list[Kind]:
    """So many faults: decks in which each kind has its share, shuffled, one after the other."""
    deck = [kind for kind in kinds for _ in range(kind.share)]
    decks = itertools.chain.from_iterable(chance.sample(deck, len(deck)) for _ in itertools.count())
    return list(itertools.islice(decks, count))


class Lane(threading.Thread):
    """Faults one after the other, beside another lane's.

    Args:
        jobs: accepted tasks over which the faults are spread.
        numbers: of the faults, shared with the other lane.
    """

    def __init__(
        self,
        name: str,
        faults: Sequence[Kind],
        stack: Stack,
        recorder: Recorder,
        jobs: int,
        chance: random.Random,
        numbers: Iterator[int],
        say: Say,
        is_over: threading.Event,
    ) -> None:
        super().__init__(name=name)
        self._faults, self._stack, self._recorder, self._jobs = faults, stack, recorder, jobs
        self._chance, self._numbers, self._say, self._is_over = chance, numbers, say, is_over
        self.failure: Exception | None = None  # this program's own, never the service's

    def run(self) -> None:
        try:
            for index, kind in enumerate(self._faults):
                if self._wait_for_turn(index):
                    return
                self._let_happen(kind)
        except Exception as error:
            self.failure = error

    def _wait_for_turn(self, index: int) -> bool:
        """Whether the run is over before that."""
        due = self._jobs * index / len(self._faults)
        while len(self._recorder.accepted) < due and not self._is_over.wait(0.1):
            pass
        return self._is_over.wait(self._chance.uniform(*PAUSE))

    def _let_happen(self, kind: Kind) -> None:
        number = next(self._numbers)
        self._say(f"fault {number}: {kind.what}")
        began = now()
        kind.act(Scene(self._stack, self._recorder, self._chance, number))
        self._recorder.record(Fault(number, kind.what, began, now(), kind.away, kind.explains))


@contextmanager
def faults(stack: Stack, recorder: Recorder, *, seed: int, kills: int, jobs: int, say: Say) -> Iterator[list[Lane]]:
    """Faults happen, until the lanes are through or the block is left.

    Raises:
        Exception: what went wrong in a lane itself.
    """
    is_over, numbers = threading.Event(), itertools.count(1)
    lanes = []
    for name, kinds, count in (("kills", KILLS, kills), ("troubles", TROUBLES, round(kills * TROUBLES_A_KILL))):
        chance = random.Random(f"{name} of {seed}")
        planned = plan([kind for kind in kinds if kind.what not in impossible(stack)], count, chance)
        lanes.append(Lane(name, planned, stack, recorder, jobs, chance, numbers, say, is_over))
    for lane in lanes:
        lane.start()
    try:
        yield lanes
    finally:
        is_over.set()
        for lane in lanes:
            lane.join()
    for lane in lanes:
        if lane.failure:
            raise lane.failure
