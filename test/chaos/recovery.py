"""How long the service takes to get over a fault.

A fault's *recovery* is the time from the moment from which the service could work again until the last of the jobs
that the fault met had ended. That moment is, for a server that was away, when it answered again; for everything else
the fault's beginning: the parts that are left have to cope. Time in which a later fault keeps a server away is not
counted: nothing can end without MongoDB, and nothing new be told to a worker without Redis.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chaos.history import Fault
from chaos.spans import Spans, overlap
from chaos.witness import Trace


@dataclass(frozen=True)
class Recovery:
    """From one fault."""

    fault: Fault
    jobs: int  # that it met
    seconds: float  # until the last of them had ended
    next_end: float  # s until any job ended


def recoveries(faults: Sequence[Fault], traces: Collection[Trace]) -> list[Recovery]:
    """From each fault that met a job. A job that never ended counts for nothing here: it breaks another rule."""
    lives = [(trace.began, trace.ended) for trace in traces if trace.ended is not None]
    ends = sorted(ended for _, ended in lives)
    away = [(fault.began, fault.ended) for fault in faults if fault.away]
    found = []
    for fault in faults:
        over = fault.ended if fault.away else fault.began
        met = [ended for began, ended in lives if began <= over and ended >= fault.began]
        later = [ended for ended in ends if ended >= over]
        if met and later:
            seconds, next_end = (_counted(over, end, away) for end in (max(met), later[0]))
            found.append(Recovery(fault, len(met), seconds, next_end))
    return found


def _counted(over: float, end: float, away: Spans) -> float:
    """Seconds from `over` to `end`, less those in which a server was away."""
    return max(0.0, end - over - overlap(over, end, away))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` (0..1) of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
