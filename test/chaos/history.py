"""What happened, as it happened: every request with its answer, every fault, kill and restart, a JSON line each.

All moments are seconds of this machine's clock since 1970, as `time.time()` has them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

FINAL = ("SUCCESS", "FAILURE", "REVOKED")
"""The states of a task that is over."""

Action = Literal["upload", "follow", "fetch", "cancel", "reset"]
Dependency = Literal["mongod", "redis"]


@dataclass(frozen=True)
class Call:
    """One request and what came of it. Without an answer, what it was to do may have been done or not."""

    action: Action
    began: float
    ended: float
    name: str  # of the picture
    source: str  # SHA-256 of the bytes that were sent under the name
    status: int | None = None  # HTTP's; None: no answer came
    task_id: str | None = None
    state: str | None = None  # the task's
    code: str | None = None  # of the problem, or of the task's failure
    sha256: str | None = None  # of the bytes that were fetched
    lost: str | None = None  # why no answer came


@dataclass(frozen=True)
class Fault:
    """Something that was broken from `began` to `ended`."""

    number: int
    what: str
    began: float
    ended: float
    away: Dependency | None = None  # what was not there meanwhile
    explains: tuple[str, ...] = ()  # codes that a task may honestly fail with because of it
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kill:
    """One `kill -9`."""

    at: float
    fault: int
    process: str
    pid: int


@dataclass(frozen=True)
class Start:
    """A part of the stack was started, or started again."""

    at: float
    part: str
    pid: int


Event = Call | Fault | Kill | Start
KINDS: dict[str, type[Event]] = {kind.__name__.lower(): kind for kind in (Call, Fault, Kill, Start)}


class Recorder:
    """Writes the history to a file, from any number of threads, and keeps count of it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self.kills = 0
        self.accepted: set[str] = set()  # task ids

    def record(self, event: Event) -> None:
        with self._lock:
            self._file.write(json.dumps({"kind": type(event).__name__.lower(), **asdict(event)}) + "\n")
            if isinstance(event, Kill):
                self.kills += 1
            elif isinstance(event, Call) and is_acceptance(event) and event.task_id:
                self.accepted.add(event.task_id)

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True)
class History:
    """All events of a run, by kind, each in the order of its end."""

    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        history = cls()
        lists: dict[type, list[Any]] = {
            Call: history.calls,
            Fault: history.faults,
            Kill: history.kills,
            Start: history.starts,
        }
        for event in events:
            lists[type(event)].append(event)
        return history

    @classmethod
    def read(cls, path: Path) -> History:
        """The history that a Recorder wrote to `path`."""
        with path.open(encoding="utf-8") as lines:
            return cls.of(_event(json.loads(line)) for line in lines)

    def acceptances(self) -> dict[str, Call]:
        """Of each accepted task the call that it was first promised by."""
        first: dict[str, Call] = {}
        for call in self.calls:
            if is_acceptance(call) and call.task_id:
                first.setdefault(call.task_id, call)
        return first


def is_acceptance(call: Call) -> bool:
    """Whether the answer was a 202, which is a promise."""
    return call.action == "upload" and call.status == 202


def _event(line: dict[str, Any]) -> Event:
    kind = KINDS[line.pop("kind")]
    if kind is Fault:
        line["explains"] = tuple(line["explains"])
    return kind(**line)


def now() -> float:
    """This moment, as the history has it."""
    return time.time()
