"""Starts again what has ended, as systemd or Docker would, unless it is told to leave it for now."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from chaos.history import Recorder, Start, now
from utils.processes import ChildProcess

PAUSE = 0.5  # s between the end of a part and its next start
LOOK_EVERY = 0.05  # s


@dataclass
class Part:
    """A program that is to run."""

    program: ChildProcess
    is_held: bool = False  # it stays away if it ends
    start_at: float | None = None  # on the monotonic clock, once it has ended


class Keeper:
    """The parts of a stack by name, as a context manager: inside it they run.

    Leaving it ends the thread that started them again, and a child ends with the thread that started it.
    So stop them before.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._parts: dict[str, Part] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def keep(self, name: str, program: ChildProcess) -> None:
        """From now on, start `program` again whenever it ends."""
        self._parts[name] = Part(program)
        self._recorder.record(Start(now(), name, program.process.pid))

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Inside the block the part is not started again."""
        self._parts[name].is_held = True
        try:
            yield
        finally:
            self._parts[name].is_held = False

    def hold_all(self) -> None:
        """Start nothing again: the end has come."""
        for part in self._parts.values():
            part.is_held = True

    def main_process(self, name: str) -> psutil.Process | None:
        """The part's first process; None while it is not there."""
        program = self._parts[name].program
        with suppress(psutil.NoSuchProcess):
            return None if program.has_ended() else psutil.Process(program.process.pid)
        return None

    def children(self, name: str) -> list[psutil.Process]:
        """The processes below the part's first one."""
        main = self.main_process(name)
        with suppress(psutil.NoSuchProcess):
            return main.children(recursive=True) if main else []
        return []

    def _run(self) -> None:
        while not self._is_over.wait(LOOK_EVERY):
            for name, part in list(self._parts.items()):
                self._look_after(name, part)

    def _look_after(self, name: str, part: Part) -> None:
        if part.is_held or not part.program.has_ended():
            part.start_at = None
        elif part.start_at is None:
            part.start_at = time.monotonic() + PAUSE
        elif time.monotonic() >= part.start_at:
            part.program.start()
            self._recorder.record(Start(now(), name, part.program.process.pid))
