"""The rules that a history must keep, whatever was broken meanwhile: each a function that finds the breaches of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from chaos.history import FINAL, Call, Fault, History
from chaos.oracle import Outcome
from chaos.spans import overlap
from chaos.witness import Trace

STUCK = 60.0  # s that a job may take at most, not counting the time in which what it needs was away
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run.

    Args:
        traces: of every job in the store, by task id.
        expected: what should have come of a picture, by its SHA-256.
    """

    history: History
    traces: Mapping[str, Trace]
    expected: Callable[[str], Outcome]


@dataclass(frozen=True)
class Violation:
    """A promise that was broken."""

    rule: str
    task_id: str
    what: str


def violations(evidence: Evidence) -> list[Violation]:
    """Everything in which the run broke a rule; nothing, if the service is good."""
    return [Violation(rule.__name__, task_id, what) for rule in RULES for task_id, what in rule(evidence)]


Findings = Iterator[tuple[str, str]]
"""Task ids, each with what is wrong with it."""


def lost(evidence: Evidence) -> Findings:
    """Every task that a 202 named is in the store."""
    for task_id in evidence.history.acceptances():
        if task_id not in evidence.traces:
            yield task_id, "was accepted and is not in the store"


def ended_other_than_once(evidence: Evidence) -> Findings:
    """Every job, also one whose 202 was lost on its way, reaches one final state and stays there."""
    for task_id, trace in evidence.traces.items():
        ends = [state for state in trace.states if state in FINAL]
        if len(ends) != 1 or trace.states[-1] not in FINAL:
            yield task_id, f"went through {' '.join(trace.states)}"


def published_twice(evidence: Evidence) -> Findings:
    """No job has had more than one result, and none but a SUCCESS has one."""
    for task_id, trace in evidence.traces.items():
        published = sum(change.publishes for change in trace.changes)
        allowed = 1 if "SUCCESS" in trace.states else 0
        if published != allowed:
            yield task_id, f"ended as {trace.states[-1]} with {published} results"


def told_differently(evidence: Evidence) -> Findings:
    """Once a client was told of a task's end, it was never told anything else."""
    for task_id, calls in _by_task(evidence.history, "follow").items():
        ends = [call for call in calls if call.state in FINAL]
        if ends:
            first = min(ends, key=lambda call: call.ended)
            for call in calls:
                if call.began > first.ended and call.state and call.state != first.state:
                    yield task_id, f"was told to be {first.state}, and later {call.state}"


def wrong_bytes(evidence: Evidence) -> Findings:
    """All reads of a result, at any time, give the bytes that a quiet process makes of the same picture."""
    for task_id, calls in _by_task(evidence.history, "fetch").items():
        trace = evidence.traces.get(task_id)
        expected = evidence.expected(trace.source).sha256 if trace else None
        for digest in {call.sha256 for call in calls if call.sha256}:
            if digest != expected or (trace and digest != trace.sha256):
                yield task_id, f"was read as {digest}, kept as {trace and trace.sha256}, expected as {expected}"


def unreadable(evidence: Evidence) -> Findings:
    """A finished picture can be fetched: the only other answers tell of a passing trouble."""
    for task_id, calls in _by_task(evidence.history, "fetch").items():
        for call in calls:
            if call.status not in (None, 200, 503):
                yield task_id, f"is finished, and fetching it was answered {call.status} {call.code}"


def ended_wrongly(evidence: Evidence) -> Findings:
    """A job ends as its picture deserves, or with an error that a fault during its life explains."""
    for task_id, trace in evidence.traces.items():
        expected = evidence.expected(trace.source)
        end = trace.states[-1]
        if end == "SUCCESS" and trace.sha256 != expected.sha256:
            yield task_id, f"has the result {trace.sha256}; a quiet process makes {expected}"
        if end == "FAILURE" and trace.code != expected.code and not _explained(trace, evidence.history.faults):
            yield task_id, f"failed as {trace.code} after {trace.attempts} attempts, and no fault explains it"


def _explained(trace: Trace, faults: Iterable[Fault]) -> bool:
    needed = MAX_ATTEMPTS if trace.code == "worker_lost" else 1
    return sum(trace.code in fault.explains and _met(trace, fault) for fault in faults) >= needed


def _met(trace: Trace, fault: Fault) -> bool:
    return trace.began <= fault.ended and (trace.ended is None or trace.ended >= fault.began)


def stuck(evidence: Evidence) -> Findings:
    """No job takes longer than STUCK, less the time in which MongoDB or Redis was away."""
    away = [(fault.began, fault.ended) for fault in evidence.history.faults if fault.away]
    for task_id, trace in evidence.traces.items():
        if trace.ended is not None:
            took = trace.ended - trace.began - overlap(trace.began, trace.ended, away)
            if took > STUCK:
                yield task_id, f"took {took:.0f} s"


def mistaken_answers(evidence: Evidence) -> Findings:
    """No answer says that the service made a mistake."""
    for call in evidence.history.calls:
        if call.status == 500:
            yield call.task_id or call.name, f"{call.action} was answered 500 {call.code}"


RULES = (
    lost,
    ended_other_than_once,
    published_twice,
    told_differently,
    wrong_bytes,
    unreadable,
    ended_wrongly,
    stuck,
    mistaken_answers,
)


def _by_task(history: History, action: str) -> dict[str, list[Call]]:
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in history.calls:
        if call.action == action and call.task_id:
            calls[call.task_id].append(call)
    return calls
