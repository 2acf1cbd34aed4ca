"""Whether the service lives, and whether it can work: for load balancers and health checks."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from celery_app import BrokerUnavailable, queue_length
from utils.errors import StoreUnavailable
from views.context import context

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> Response:
    """This process answers."""
    return jsonify(status="ok")


@blueprint.get("/ready")
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
