"""Whether the service lives, and whether it can work: for load balancers and health checks."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from flask import Blueprint, Response, jsonify
from typing_extensions import TypedDict

from celery_app import BrokerUnavailable, queue_length
from utils.errors import StoreUnavailable
from views.context import context
from views.openapi.headers import CACHE_CONTROL
from views.openapi.operations import JSON, Answer, ok, operation

blueprint = Blueprint("health", __name__, url_prefix="/health")


class Alive(TypedDict):
    """This process answers."""

    status: Literal["ok"]


class Readiness(TypedDict):
    """Whether the servers that this one stands on answer: `ok`, or a sentence."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]


@blueprint.get("/live")
@operation("is_alive", "Service", ok(Alive, "It lives.", example={"status": "ok"}), uses_store=False)
def live() -> Response:
    """This process answers."""
    return jsonify(status="ok")


@blueprint.get("/ready")
@operation(
    "is_ready",
    "Service",
    ok(Readiness, "It works.", CACHE_CONTROL, example={"status": "ok", "checks": {"mongo": "ok", "redis": "ok"}}),
    Answer(HTTPStatus.SERVICE_UNAVAILABLE, "It does not.", JSON, Readiness, headers=[CACHE_CONTROL]),
    uses_store=False,
)
def ready() -> Response:
    """MongoDB answers. Redis is told of, and may be away: uploads are accepted all the same."""
    checks = {"mongo": _mongo(), "redis": _redis()}
    is_ready = checks["mongo"] == "ok"
    response = jsonify(status="ok" if is_ready else "unavailable", checks=checks)
    response.status_code = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    response.headers["Cache-Control"] = "no-store"
    return response


def _mongo() -> str:
    try:
        context().store.ping()
    except StoreUnavailable as error:
        return error.detail
    return "ok"


def _redis() -> str:
    try:
        queue_length()
    except BrokerUnavailable:
        return "Redis does not answer; uploads are kept and sent when it is back."
    return "ok"
