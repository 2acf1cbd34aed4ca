"""The result of a run, for people."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from chaos.campaign import Findings
from chaos.recovery import percentile, recoveries

MOST_SHOWN = 20


def report(findings: Findings) -> str:
    """Several lines."""
    return "\n".join(_lines(findings))


def _lines(findings: Findings) -> Iterator[str]:
    orders, history = findings.orders, findings.history
    traces, accepted = findings.traces, history.acceptances()
    rules = Counter(violation.rule for violation in findings.violations)
    yield f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {platform.platform()}"
    yield f"load average of the last 15 minutes: {os.getloadavg()[2]:.1f}"
    yield f"python -m chaos {' '.join(sys.argv[1:])}  (seed {orders.seed})"
    yield f"{findings.seconds:.0f} s of load and faults, {len(history.calls)} requests"
    yield f"accepted tasks       {len(accepted):6}   (and {len(traces) - len(accepted)} whose 202 got lost on its way)"
    yield f"faults that kill     {findings.kills:6}   ({len(history.kills)} processes by SIGKILL)"
    yield f"other faults         {len(history.faults) - findings.kills:6}"
    yield f"lost                 {rules['lost']:6}"
    yield f"ended not just once  {rules['ended_other_than_once']:6}"
    yield f"published twice      {rules['published_twice']:6}"
    yield f"stuck over 60 s      {rules['stuck']:6}"
    yield f"wrong bytes          {rules['wrong_bytes'] + rules['ended_wrongly']:6}"
    yield f"all broken promises  {len(findings.violations):6}"
    yield f"ends: {_counts(trace.states[-1] for trace in traces.values())}"
    yield f"failures: {_counts(trace.code for trace in traces.values() if trace.code)}"
    yield f"attempts: {_counts(trace.attempts for trace in traces.values())}"
    yield f"left over before the sweep: {findings.before_sweep}"
    yield f"left over after the sweep:  {findings.after_sweep}"
    yield from _recovery_lines(findings)
    yield f"faults: {_counts(fault.what for fault in history.faults)}"
    for what, why in findings.left_out.items():
        yield f"left out: {what}, for {why}"
    yield f"restarts: {_counts(start.part for start in history.starts)}"
    for violation in findings.violations[:MOST_SHOWN]:
        yield f"BROKEN {violation.rule}: {violation.task_id} {violation.what}"
    yield "good" if findings.is_good else "NOT GOOD"


def _recovery_lines(findings: Findings) -> Iterator[str]:
    found = recoveries(findings.history.faults, findings.traces.values())
    if not found:
        return
    for name, seconds in (
        ("recovery, last job met", [recovery.seconds for recovery in found]),
        ("recovery, next job to end", [recovery.next_end for recovery in found]),
    ):
        shares = " ".join(f"p{share * 100:.0f} {percentile(seconds, share):.1f}" for share in (0.5, 0.9, 0.99, 1.0))
        yield f"{name}: {shares} s over {len(found)} faults"
    for recovery in sorted(found, key=lambda recovery: -recovery.seconds)[:5]:
        yield f"  slowest: {recovery.seconds:5.1f} s after fault {recovery.fault.number}, {recovery.fault.what}"


def _counts(things: Iterator[object]) -> str:
    return ", ".join(f"{count} {thing}" for thing, count in Counter(things).most_common())
