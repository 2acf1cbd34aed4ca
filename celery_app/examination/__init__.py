"""An examination of everything that the service stands on and of everything that it keeps, for `flask doctor`.

It changes nothing but one document in MongoDB, which it writes to see that writing works.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pymongo.errors import PyMongoError

from celery_app.examination.broker import BROKER
from celery_app.examination.finding import Check, Finding, Ill, Patient
from celery_app.examination.kept import KEPT, READ_ALL
from celery_app.examination.machine import MACHINE
from celery_app.examination.mongodb import MONGODB
from utils.errors import ServiceError

__all__ = ["Finding", "Patient", "examine"]


def examine(patient: Patient, *, read_all: bool = False) -> Iterator[Finding]:
    """Every finding, as it is made.

    Args:
        read_all: whether to read every result and compare it with its digest.
    """
    kept = KEPT + (READ_ALL if read_all else [])
    for group in (MONGODB + kept, BROKER, MACHINE):
        yield from _examine_group(patient, group)


def _examine_group(patient: Patient, group: Sequence[Check]) -> Iterator[Finding]:
    """The first check of a group is whether the others can be made."""
    is_there = True
    for check, look in group:
        if not is_there:
            yield Finding(check, "not looked at")
            continue
        try:
            yield Finding(check, "ok", look(patient))
        except Ill as ill:
            yield Finding(check, "not ok", ill.detail, ill.remedy)
            is_there = check != group[0][0]
        except (ServiceError, PyMongoError) as error:
            yield Finding(check, "not ok", str(error), "See what its log says, and examine again.")
            is_there = check != group[0][0]
