"""Every error becomes an RFC 9457 problem document, or a page for a browser, at this one edge."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, NotRequired

import structlog
from flask import Flask, Response, current_app, jsonify, make_response, request
from gunicorn.http.errors import NoMoreData, ParseException
from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestedRangeNotSatisfiable,
    RequestEntityTooLarge,
)
from werkzeug.routing.exceptions import WebsocketMismatch

from utils import errors
from utils.errors import KINDS, DiskFull, ServiceError
from views.context import context
from views.error_page import error_page
from views.negotiation import prefers_page
from views.request_ids import request_id

log = structlog.get_logger()

MOST_DRAINED = 256 * 1024**2  # bytes


@with_config(ConfigDict(use_attribute_docstrings=True))
class ProblemDocument(TypedDict):
    """An error (RFC 9457)."""

    type: str
    """Where the code is explained."""
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    """What is wrong with which value, and what to do."""
    code: Annotated[str, Field(json_schema_extra={"enum": sorted(kind.code for kind in KINDS)})]
    """Stable, for programs."""
    instance: NotRequired[str]
    """The path that was asked for."""
    request_id: NotRequired[str]
    """The id of the request, as in the header `X-Request-ID`: whoever runs the service finds it in the logs."""
    field: NotRequired[str]
    """The form field, parameter or header at fault."""
    task_id: NotRequired[str]
    """The task that it is about."""
    batch_id: NotRequired[str]
    progress: NotRequired[float]
    """With `not_ready`: the share that is done."""
    files: NotRequired[list[dict[str, Any]]]
    """With `batch_refused`: a problem for each file, with its `name`."""


def register(app: Flask) -> None:
    """Answer every exception on `app` with a problem."""
    app.register_error_handler(ServiceError, answer)
    app.register_error_handler(HTTPException, _answer_http)
    for kind in (ParseException, NoMoreData, ConnectionError):
        app.register_error_handler(kind, _answer_broken_body)
    app.register_error_handler(Exception, _answer_unforeseen)


def answer(error: ServiceError) -> Response:
    """The response for `error`: `application/problem+json`, or HTML where that is preferred."""
    document = problem(error) | {"request_id": request_id()}
    if prefers_page():
        response = make_response(error_page(error, document["type"]))
    else:
        response = jsonify(document)
        response.content_type = "application/problem+json"
    response.status_code = error.status
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UPGRADE_REQUIRED:
        response.headers["Upgrade"] = "websocket"
        response.headers["Connection"] = "Upgrade"
        response.headers["Sec-WebSocket-Version"] = "13"
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    return response


def problem(error: ServiceError) -> dict[str, Any]:
    """`error` as the members of a problem document (RFC 9457)."""
    document: dict[str, Any] = {
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "instance": request.path,
    }
    if error.field:
        document["field"] = error.field
    return document | error.members


def _answer_http(error: HTTPException) -> Response:
    """Flask's and Werkzeug's own errors, told as ours."""
    if isinstance(error, RequestEntityTooLarge):
        _drain()
    response = answer(_as_service_error(error))
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    if isinstance(error, RequestedRangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.length}"
    return response


def _as_service_error(error: HTTPException) -> ServiceError:
    if isinstance(error, RequestEntityTooLarge):
        limit, parts = context().settings.max_upload_bytes.human_readable(), current_app.config["MAX_FORM_PARTS"]
        return errors.TooManyBytes(f"A request may have {limit} in {parts} parts at most. Send smaller or fewer files.")
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return errors.MethodNotAllowed(f"{request.method} is not possible on {request.path}. Use {allowed}.")
    if isinstance(error, RequestedRangeNotSatisfiable):
        return errors.RangeNotSatisfiable(f"The picture has {error.length} bytes. Ask for a part within them.")
    if isinstance(error, WebsocketMismatch) and request.headers.get("Upgrade", "").lower() != "websocket":
        return errors.UpgradeRequired(
            f"{request.path} is a WebSocket. Open it as one, or follow a task at GET /tasks/<id>/events."
        )
    if isinstance(error, NotFound):
        return errors.RouteNotFound(
            f"There is nothing at {request.path}. Pictures go to POST /upscale; results are at GET /processed/<name>."
        )
    if error.code and error.code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.BadRequest(error.description or "The request cannot be understood.")
    return ServiceError("Something went wrong here. It is not your picture's fault; try again.")


def _answer_broken_body(error: Exception) -> Response:
    """What the web server raises where a body is read that is cut off, or not in the chunks that it should be."""
    return answer(errors.BadRequest("The request's body broke off, or is not HTTP as it should be. Send it again."))


def _answer_unforeseen(error: Exception) -> Response:
    if DiskFull.explains(error):
        _drain()
        return answer(DiskFull("There is no room for the upload on the web server's disk. Try again later."))
    log.exception("unforeseen error", path=request.path, exc_info=error)
    return answer(ServiceError("Something went wrong here. It is not your picture's fault; try again."))


def _drain() -> None:
    """Read what a client is still sending, within bounds: closing on it would hide the answer from it."""
    stream = request.environ["wsgi.input"]
    left = min(request.content_length or 0, MOST_DRAINED)
    while left > 0 and (block := stream.read(min(left, 1024 * 1024))):
        left -= len(block)
