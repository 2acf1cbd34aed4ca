"""Errors as responses of the API's description: one for each status, with the codes that it may carry."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from apispec import APISpec

from utils.errors import ServiceError
from views.openapi.headers import ALLOW, RETRY_AFTER, UPGRADE, Header, references, sometimes

PROBLEM, HTML = "application/problem+json", "text/html"


def problem_response(spec: APISpec, kinds: Sequence[type[ServiceError]], limits: list[Header]) -> dict[str, Any]:
    """The response of errors that share a status."""
    status = kinds[0].status
    told = [sometimes(RETRY_AFTER)]
    told += [ALLOW] if status == HTTPStatus.METHOD_NOT_ALLOWED else []
    told += [UPGRADE] if status == HTTPStatus.UPGRADE_REQUIRED else []
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/ProblemDocument"},
            {"properties": {"status": {"const": status}, "code": {"enum": [kind.code for kind in kinds]}}},
        ]
    }
    examples = {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds}
    return {
        "description": " ".join(f"`{kind.code}`: {kind.title}." for kind in kinds),
        "headers": references(spec, [*told, *limits]),
        "content": {
            PROBLEM: {"schema": schema, "examples": examples},
            HTML: {"schema": {"type": "string"}},  # to a browser, that is with `Accept: text/html`
        },
    }


def example_of(kind: type[ServiceError]) -> dict[str, Any]:
    """A problem document, whose detail says when that kind of error comes."""
    return {
        "type": f"/docs/errors#{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": " ".join((inspect.getdoc(kind) or kind.title).split()),
        "code": kind.code,
        "instance": "/…",
    }
