"""Whether what is kept is whole: nothing lost, nothing left over, nothing twice."""

from __future__ import annotations

from collections.abc import Callable

from celery_app.examination.finding import Check, Ill, Patient
from mongo import Store

MOST_NAMED = 5  # tasks or files in a finding


def _nobody(look: Callable[[Store], list[str]], remedy: str) -> Callable[[Patient], str]:
    """A check that nothing breaks a rule."""

    def check(patient: Patient) -> str:
        if not (found := look(patient.store)):
            return ""
        named = ", ".join(found[:MOST_NAMED]) + (", …" if len(found) > MOST_NAMED else "")
        raise Ill(f"{len(found)} break this: {named}", remedy)

    return check


SWEEP = "Run `flask --app main sweep`; if that does not help, see that beat and a worker run."
SEND_AGAIN = "Its bytes are lost: was a backup restored in part? Delete the picture, and send it again."

KEPT: list[Check] = [
    (
        "A name has one current task",
        _nobody(lambda store: store.invariants.names_with_several_current_tasks(), "Delete all but one of them."),
    ),
    (
        "Every finished task has its result",
        _nobody(lambda store: store.invariants.tasks_without_their_result(), SEND_AGAIN),
    ),
    (
        "Every task to be done has its upload",
        _nobody(lambda store: store.invariants.tasks_without_their_upload(), SEND_AGAIN),
    ),
    (
        "Every running task has a worker",
        _nobody(lambda store: store.invariants.tasks_held_by_nobody(), SWEEP),
    ),
    (
        "Results go when their time is over",
        _nobody(lambda store: store.invariants.tasks_past_their_time(), SWEEP),
    ),
    (
        "Every file belongs to a task",
        _nobody(lambda store: store.invariants.files_of_nobody(), SWEEP),
    ),
    (
        "Every chunk belongs to a file",
        _nobody(lambda store: store.invariants.chunks_of_nobody(), SWEEP),
    ),
]

READ_ALL: list[Check] = [
    (
        "Every result has the bytes that were made",
        _nobody(lambda store: store.invariants.tasks_with_another_result(), SEND_AGAIN),
    ),
]
