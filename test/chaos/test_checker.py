"""The checker finds what it is there to find: each rule is fed a history that breaks it, and one that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.checker import STUCK, Evidence, violations
from chaos.history import Call, Fault, History
from chaos.oracle import Outcome
from chaos.witness import Change, Trace

SOURCE, RIGHT, WRONG = "bytes sent", "bytes made", "other bytes"

UPLOAD = Call("upload", 0.0, 0.1, "a.png", SOURCE, 202, "task", "PENDING")
ENDED = Call("follow", 2.0, 2.1, "a.png", SOURCE, 200, "task", "SUCCESS")
FETCHED = Call("fetch", 3.0, 3.1, "a.png", SOURCE, 200, "task", sha256=RIGHT)

WAITING, CLAIMED = Change(0.05, "PENDING"), Change(0.5, "STARTED", attempt=1)
PUBLISHED = Change(1.0, "SUCCESS", publishes=True)
FAILED = Change(1.0, "FAILURE")
GOOD = Trace("task", "a.png", SOURCE, [WAITING, CLAIMED, PUBLISHED], sha256=RIGHT)
BAD = Trace("task", "a.png", SOURCE, [WAITING, CLAIMED, FAILED], code="disk_full")


def broken(
    trace: Trace | None = GOOD,
    calls: tuple[Call, ...] = (UPLOAD, ENDED, FETCHED),
    faults: tuple[Fault, ...] = (),
    expected: Outcome = Outcome(sha256=RIGHT),  # noqa: B008 - immutable
) -> set[str]:
    """The rules that a run of this one job breaks."""
    traces = {trace.task_id: trace} if trace else {}
    evidence = Evidence(History.of([*calls, *faults]), traces, lambda _: expected)
    return {violation.rule for violation in violations(evidence)}


def fault(explains: tuple[str, ...] = (), began: float = 0.2, ended: float = 0.3, away: str | None = None) -> Fault:
    return Fault(1, "something", began, ended, away, explains)  # type: ignore[arg-type]


def test_a_job_that_went_well_breaks_no_rule() -> None:
    assert broken() == set()


def test_an_accepted_job_that_is_not_in_the_store_is_lost() -> None:
    assert broken(trace=None, calls=(UPLOAD,)) == {"lost"}


@pytest.mark.parametrize(
    "changes",
    [
        [WAITING],
        [WAITING, CLAIMED],
        [WAITING, CLAIMED, PUBLISHED, Change(2.0, "FAILURE")],
        [WAITING, CLAIMED, PUBLISHED, Change(2.0, "PENDING")],
        [WAITING, Change(0.5, "REVOKED"), PUBLISHED],
    ],
    ids=["waits for ever", "runs for ever", "ends twice", "goes on after its end", "succeeds after its end"],
)
def test_a_job_that_ends_other_than_once_is_found(changes: list[Change]) -> None:
    assert "ended_other_than_once" in broken(replace(GOOD, changes=changes))


def test_a_job_whose_202_was_lost_must_end_too() -> None:
    assert broken(replace(GOOD, changes=[WAITING], sha256=None), calls=()) == {"ended_other_than_once"}


def test_a_second_result_is_found_though_the_state_did_not_change() -> None:
    twice = replace(GOOD, changes=[WAITING, CLAIMED, PUBLISHED, Change(1.5, publishes=True)])
    assert broken(twice) == {"published_twice"}


def test_a_success_without_a_result_is_found() -> None:
    assert "published_twice" in broken(replace(GOOD, changes=[WAITING, CLAIMED, Change(1.0, "SUCCESS")]))


def test_a_result_of_a_failed_job_is_found() -> None:
    with_result = replace(BAD, changes=[WAITING, CLAIMED, Change(0.9, publishes=True), FAILED])
    assert "published_twice" in broken(with_result, calls=(UPLOAD,), faults=(fault(("disk_full",)),))


def test_two_different_ends_told_to_clients_are_found() -> None:
    later = replace(ENDED, began=5.0, ended=5.1, state="STARTED")
    assert broken(calls=(UPLOAD, ENDED, later, FETCHED)) == {"told_differently"}


def test_an_older_state_told_by_an_answer_that_was_overtaken_is_no_contradiction() -> None:
    overtaken = replace(ENDED, began=1.9, ended=2.2, state="STARTED")
    assert broken(calls=(UPLOAD, overtaken, ENDED, FETCHED)) == set()


def test_bytes_that_change_between_two_reads_are_found() -> None:
    assert broken(calls=(UPLOAD, FETCHED, replace(FETCHED, began=9.0, ended=9.1, sha256=WRONG))) == {"wrong_bytes"}


def test_bytes_that_are_always_the_same_and_always_wrong_are_found() -> None:
    kept_wrong = replace(GOOD, sha256=WRONG)
    calls = (UPLOAD, replace(FETCHED, sha256=WRONG))
    assert broken(kept_wrong, calls) == {"wrong_bytes", "ended_wrongly"}


def test_a_finished_picture_that_cannot_be_fetched_is_found() -> None:
    assert broken(calls=(UPLOAD, ENDED, replace(FETCHED, status=410, sha256=None, code="expired"))) == {"unreadable"}


def test_not_being_able_to_fetch_while_the_store_is_away_is_fine() -> None:
    assert broken(calls=(UPLOAD, replace(FETCHED, status=503, sha256=None), FETCHED)) == set()


def test_a_failure_that_no_fault_explains_is_found() -> None:
    elsewhere = fault(("disk_full",), began=50.0, ended=60.0)
    for faults in ((), (elsewhere,), (fault(("out_of_memory",)),)):
        assert broken(BAD, calls=(UPLOAD,), faults=faults) == {"ended_wrongly"}


def test_a_failure_that_a_fault_explains_is_honest() -> None:
    assert broken(BAD, calls=(UPLOAD,), faults=(fault(("disk_full",)),)) == set()


def test_a_worker_is_lost_three_times_before_the_job_is_given_up() -> None:
    lost, once = replace(BAD, code="worker_lost"), fault(("worker_lost",))
    assert broken(lost, calls=(UPLOAD,), faults=(once, once)) == {"ended_wrongly"}
    assert broken(lost, calls=(UPLOAD,), faults=(once, once, once)) == set()


def test_a_picture_that_nobody_can_decode_fails_as_such() -> None:
    undecodable = replace(BAD, code="undecodable")
    assert broken(undecodable, calls=(UPLOAD,), expected=Outcome(code="undecodable")) == set()
    assert broken(undecodable, calls=(UPLOAD,)) == {"ended_wrongly"}
    assert "ended_wrongly" in broken(expected=Outcome(code="undecodable"))


def test_a_job_that_takes_too_long_is_stuck() -> None:
    late = replace(GOOD, changes=[WAITING, CLAIMED, replace(PUBLISHED, at=STUCK + 10)])
    assert broken(late) == {"stuck"}


def test_time_in_which_a_server_was_away_does_not_count_as_stuck() -> None:
    late = replace(GOOD, changes=[WAITING, CLAIMED, replace(PUBLISHED, at=STUCK + 10)])
    assert broken(late, faults=(fault(began=10.0, ended=25.0, away="mongod"),)) == set()
    assert broken(late, faults=(fault(began=10.0, ended=25.0),)) == {"stuck"}


def test_an_answer_that_says_the_service_made_a_mistake_is_found() -> None:
    assert broken(calls=(UPLOAD, replace(ENDED, status=500, state=None, code="internal_error"))) == {"mistaken_answers"}
