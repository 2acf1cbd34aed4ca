"""`/docs/errors`: every code that a problem document or a failed task can carry."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from flask import render_template

from utils.errors import ServiceError
from views.pages.blueprint import blueprint


@dataclass(frozen=True)
class ErrorCode:
    """One line of the list of error codes."""

    code: str
    status: int
    title: str
    meaning: str  # a sentence or two, with `code` in backticks


@blueprint.get("/docs/errors")
def error_codes() -> str:
    """The list; `type` of a problem points into it."""
    kinds: list[type[ServiceError]] = [ServiceError, *ServiceError.__subclasses__()]
    codes = sorted((_error_code(kind) for kind in kinds), key=lambda error: (error.status, error.code))
    return render_template("error_codes.html", codes=codes)


def _error_code(kind: type[ServiceError]) -> ErrorCode:
    if kind is ServiceError:
        meaning = "Something nobody foresaw. It is in the service's log, and it is worth trying again."
    else:
        meaning = " ".join((inspect.getdoc(kind) or "").split())
    return ErrorCode(kind.code, kind.status, kind.title, meaning)
