"""Child processes that never outlive their parent and tell in one sentence why they would not start."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PR_SET_PDEATHSIG = 1  # prctl(2)
POLL_INTERVAL = 0.1  # s
TAIL_LINES = 5


class ProgramError(Exception):
    """A program could not be started. The message is one sentence for the person who started it."""


class ChildProcess:
    """A program that runs, as a context manager: entering starts it, leaving stops it.

    It has a session of its own, so Ctrl-C reaches the parent alone, which then stops its children in order.

    Args:
        name: for messages.
        command: program and arguments.
        log: file that takes its output; None for the parent's own.
        environment: added to the parent's.
        patience: seconds it gets to stop by itself before it is killed.
        inherited: file descriptors that it is to hold open as long as it lives, such as a lock's.
        niceness: how far it stands back where others want the processor as well, 0 to 19.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[object],
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        patience: float = 10.0,
        inherited: Sequence[int] = (),
        niceness: int = 0,
    ) -> None:
        self.name = name
        self._command = [str(part) for part in command]
        self._log = log
        self._environment = os.environ | dict(environment or {})
        self._patience = patience
        self._inherited = inherited
        self._niceness = niceness

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Run the program, for the first time or again after its end.

        Raises:
            ProgramError: it cannot be run.
        """
        with self._output() as output:
            try:
                self.process = subprocess.Popen(  # noqa: S603 - the command is ours
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if output else None,
                    env=self._environment,
                    start_new_session=True,
                    preexec_fn=self._prepare,
                    pass_fds=self._inherited,
                )
            except OSError as error:
                raise ProgramError(f"{self._command[0]} cannot be run: {error.strerror}.") from None

    def ask_to_stop(self) -> None:
        """Ask the program to end, and do not wait for that."""
        self.process.terminate()

    def stop(self) -> None:
        """Ask the program to end, and kill it when its patience is over."""
        self.ask_to_stop()
        try:
            self.process.wait(self._patience)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def obituary(self) -> str:
        """One sentence on its end, and its last words where they are kept."""
        return f"{self.name} ended by itself (status {self.process.returncode}).{self._tail()}"

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until `ready()`.

        Raises:
            ProgramError: it ended, or `timeout` seconds went by.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if self.has_ended():
                raise ProgramError(f"{self.name} ended at once (status {self.process.returncode}).{self._tail()}")
            if time.monotonic() > deadline:
                raise ProgramError(f"{self.name} did not answer within {timeout:.0f} s.{self._tail()}")
            time.sleep(POLL_INTERVAL)

    def _prepare(self) -> None:
        """In the child, before it becomes the program."""
        end_with_parent()
        if self._niceness:
            stand_back(self._niceness)

    def _output(self) -> contextlib.AbstractContextManager[IO[bytes] | None]:
        return self._log.open("ab") if self._log else contextlib.nullcontext()

    def _tail(self) -> str:
        if self._log is None:
            return ""
        lines = self._log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return f" The end of {self._log}:\n" + "\n".join(lines)


def end_with_parent() -> None:
    """In a child: be told to stop when the parent ends, even if that is killed. Does nothing but on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stand_back(niceness: int) -> None:
    """In a child with a session of its own: let others have the processor first.

    Linux shares it out by session before it looks at who is nice in each (sched(7), "The autogroup feature").
    """
    os.nice(niceness)
    with contextlib.suppress(OSError):  # no such feature here
        Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")
