"""Whether the service lives, and whether it can work: for load balancers, health checks and people."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Literal, NotRequired

from flask import Blueprint, Response, jsonify
from typing_extensions import TypedDict

from celery_app import BrokerUnavailable, queue_length, worker_answers
from utils.errors import StoreUnavailable
from views.context import context
from views.openapi.headers import CACHE_CONTROL
from views.openapi.operations import JSON, Answer, ok, operation

blueprint = Blueprint("health", __name__, url_prefix="/health")

OK = "ok"


class Alive(TypedDict):
    """This process answers."""

    status: Literal["ok"]


class Check(TypedDict):
    """Whether something that this server stands on answered, and how long that took."""

    status: Literal["ok", "unavailable"]
    ms: float
    detail: NotRequired[str]


class Readiness(TypedDict):
    """Whether this server can work, which it can with `mongo` alone; and how `redis` and `worker` are."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, Check]


@blueprint.get("/live")
@operation("is_alive", "Service", ok(Alive, "It lives.", example={"status": "ok"}), uses_store=False)
def live() -> Response:
    """This process answers."""
    return jsonify(status=OK)


@blueprint.get("/ready")
@operation(
    "is_ready",
    "Service",
    ok(
        Readiness,
        "It works.",
        CACHE_CONTROL,
        example={"status": "ok", "checks": {"mongo": {"status": "ok", "ms": 0.5}}},
    ),
    Answer(HTTPStatus.SERVICE_UNAVAILABLE, "It does not.", JSON, Readiness, headers=[CACHE_CONTROL]),
    uses_store=False,
)
def ready() -> Response:
    """MongoDB answers. Redis and workers are told of, and may be away: uploads are accepted all the same."""
    checks = {"mongo": _timed(_mongo), "redis": _timed(_redis)}
    if checks["redis"]["status"] == OK:
        checks["worker"] = _timed(_worker)
    is_ready = checks["mongo"]["status"] == OK
    response = jsonify(status=OK if is_ready else "unavailable", checks=checks)
    response.status_code = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    response.headers["Cache-Control"] = "no-store"
    return response


def _timed(check: Callable[[], str | None]) -> Check:
    """What a check found, with the milliseconds that it took.

    Args:
        check: returns what is wrong, in a sentence, or None.
    """
    began = time.perf_counter()
    problem = check()
    ms = round((time.perf_counter() - began) * 1000, 1)
    return {"status": "unavailable", "ms": ms, "detail": problem} if problem else {"status": "ok", "ms": ms}


def _mongo() -> str | None:
    try:
        context().store.ping()
    except StoreUnavailable as error:
        return error.detail
    return None


def _redis() -> str | None:
    try:
        queue_length()
    except BrokerUnavailable:
        return "Redis does not answer; uploads are kept and sent when it is back."
    return None


def _worker() -> str | None:
    try:
        answers = worker_answers()
    except BrokerUnavailable:
        answers = False
    return None if answers else "No worker answers; uploads are kept and made when there is one."
