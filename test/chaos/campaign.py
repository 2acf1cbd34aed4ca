"""A whole run: the stack, the users, the faults, and the quiet after them in which everything is looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from chaos import leftovers
from chaos.checker import Evidence, Violation, violations
from chaos.client import Client
from chaos.faults import impossible
from chaos.history import History, Recorder
from chaos.injector import Lane, Say, faults
from chaos.leftovers import Leftovers
from chaos.load import users
from chaos.oracle import Oracle
from chaos.pictures import Source
from chaos.stack import Stack, running_stack, wait_until
from chaos.witness import Trace, read_traces

USERS = 16
PROGRESS_EVERY = 10.0  # s
QUIET = 120.0  # s for the last jobs to end after the last fault


@dataclass(frozen=True)
class Orders:
    """What is to be done.

    Args:
        seed: decides about faults, pictures and what users do.
        jobs: tasks to be accepted.
        kills: faults that kill something.
        duration: seconds after which the run ends, finished or not.
    """

    seed: int = 1
    jobs: int = 10_000
    kills: int = 300
    duration: float = 7200.0


@dataclass(frozen=True)
class Findings:
    """What came of a run."""

    orders: Orders
    history: History
    traces: dict[str, Trace]
    violations: list[Violation]
    left_out: dict[str, str]  # faults that cannot be done on this machine, and why
    before_sweep: Leftovers
    after_sweep: Leftovers
    seconds: float  # of load and faults

    @property
    def kills(self) -> int:
        """Faults that killed something."""
        return len({kill.fault for kill in self.history.kills})

    @property
    def is_good(self) -> bool:
        """Whether all that was asked for was done, and no promise broken."""
        done = len(self.history.acceptances()) >= self.orders.jobs and self.kills >= self.orders.kills
        return done and not self.violations and not self.after_sweep


def run(orders: Orders, folder: Path, say: Say = print) -> Findings:
    """Do it, with everything that is kept of it under `folder`.

    Raises:
        TimeoutError, ProgramError: the stack did not come up, or not up again.
    """
    sources = folder / "sources"
    sources.mkdir()
    recorder = Recorder(folder / "history.jsonl")
    with running_stack(folder, recorder) as stack:
        say(f"the stack runs at {stack.url}; seed {orders.seed}")
        began = time.monotonic()
        with (
            users(USERS, orders.seed, stack.url, sources, recorder),
            faults(stack, recorder, seed=orders.seed, kills=orders.kills, jobs=orders.jobs, say=say) as lanes,
        ):
            _wait_for_end(orders, recorder, lanes, say)
        seconds = time.monotonic() - began
        _wait_for_quiet(stack)
        traces = read_traces(stack.store)
        _read_all_again(stack, recorder, traces)
        before, after = _swept(stack)
        left_out = impossible(stack)
    recorder.close()
    history = History.read(folder / "history.jsonl")
    say("comparing every result with what a quiet process makes")
    found = violations(Evidence(history, traces, Oracle(folder)))
    return Findings(orders, history, traces, found, left_out, before, after, seconds)


def _wait_for_end(orders: Orders, recorder: Recorder, lanes: list[Lane], say: Say) -> None:
    """Wait until everything was done, or the time is over."""
    began = told = time.monotonic()
    while time.monotonic() < began + orders.duration:
        if len(recorder.accepted) >= orders.jobs and not any(lane.is_alive() for lane in lanes):
            return
        if time.monotonic() > told + PROGRESS_EVERY:
            told = time.monotonic()
            say(f"{told - began:.0f} s: {len(recorder.accepted)} tasks accepted, {recorder.kills} processes killed")
        time.sleep(0.2)


def _wait_for_quiet(stack: Stack) -> None:
    """Wait until no job waits or runs. One that never ends is for the checker to find."""
    deadline = time.monotonic() + QUIET
    wait_until(stack.web_answers)
    while stack.store.jobs.running("everyone") and time.monotonic() < deadline:
        time.sleep(0.2)


def _read_all_again(stack: Stack, recorder: Recorder, traces: dict[str, Trace]) -> None:
    """Ask once more for every task, and fetch every result."""
    client = Client(stack.url, recorder)
    for trace in traces.values():
        source = Source(trace.name, (stack.folder / "sources" / trace.source).read_bytes())
        client.follow(source, trace.task_id)
        if trace.sha256:
            client.fetch(source, trace.task_id)


def _swept(stack: Stack) -> tuple[Leftovers, Leftovers]:
    """What was left over before the sweep, and after it."""
    before = leftovers.count(stack)
    leftovers.sweep(stack)
    return before, leftovers.count(stack)
