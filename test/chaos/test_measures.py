"""What is measured of a run: how long faults last on, and what is written down comes back."""

from __future__ import annotations

from pathlib import Path

from chaos.history import Call, Fault, History, Kill, Recorder, Start
from chaos.recovery import percentile, recoveries
from chaos.spans import overlap
from chaos.witness import Change, Trace


def job(began: float, ended: float) -> Trace:
    return Trace("task", "a.png", "bytes", [Change(began, "PENDING"), Change(ended, "SUCCESS")])


def test_a_history_comes_back_as_it_was_written(tmp_path: Path) -> None:
    call = Call("upload", 1.0, 1.1, "a.png", "bytes", 202, "task", "PENDING")
    fault = Fault(1, "kill mongod", 2.0, 3.0, "mongod", ("worker_lost",))
    kill, start = Kill(2.0, 1, "mongod", 42), Start(2.5, "mongod", 43)
    recorder = Recorder(tmp_path / "history.jsonl")
    for event in (call, fault, kill, start):
        recorder.record(event)
    recorder.close()
    assert History.read(tmp_path / "history.jsonl") == History([call], [fault], [kill], [start])
    assert recorder.accepted == {"task"}


def test_recovery_ends_with_the_last_job_that_the_fault_met() -> None:
    kill = Fault(1, "kill worker", 10.0, 10.0)
    [recovery] = recoveries([kill], [job(0, 9), job(9.5, 12), job(9.9, 17), job(11, 30)])
    assert (recovery.jobs, recovery.seconds, recovery.next_end) == (2, 7.0, 2.0)


def test_recovery_from_a_server_that_was_away_begins_when_it_is_back() -> None:
    away = Fault(1, "kill mongod", 10.0, 14.0, "mongod")
    [recovery] = recoveries([away], [job(9, 16), job(12, 15)])
    assert (recovery.jobs, recovery.seconds) == (2, 2.0)


def test_time_in_which_a_later_fault_keeps_a_server_away_is_no_part_of_a_recovery() -> None:
    kill, away = Fault(1, "kill worker", 10.0, 10.0), Fault(2, "stop redis", 12.0, 15.0, "redis")
    assert recoveries([kill, away], [job(9, 20)])[0].seconds == 7.0


def test_a_fault_that_met_no_job_has_no_recovery() -> None:
    assert recoveries([Fault(1, "kill beat", 10.0, 10.0)], [job(0, 5), job(20, 21)]) == []


def test_overlapping_spans_count_once() -> None:
    assert overlap(0, 100, [(10, 30), (20, 40), (35, 36), (90, 120), (-5, 1)]) == 41


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
