"""The pages for people: the upload page, and what every error code means."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from flask import Blueprint, Response, render_template, request

from upscaler.catalog import list_models
from utils.errors import ServiceError
from views.context import context

blueprint = Blueprint("pages", __name__)

SCALES = (1, 2, 3, 4, 6, 8)  # offered in the options; the service itself takes fractions too

# Everything a page needs is in `static/`; blob: is the visitor's own picture, shown without uploading it.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


@dataclass(frozen=True)
class ErrorCode:
    """One line of the list of error codes."""

    code: str
    status: int
    title: str
    meaning: str  # a sentence or two, with `code` in backticks


@blueprint.get("/")
def index() -> str:
    """Drop a picture, watch it being made, compare, download."""
    settings = context().settings
    models = list_models(settings.models_folder)
    return render_template(
        "index.html",
        settings=settings,
        on_disk=[model for model in models if model.is_on_disk(settings.models_folder)],
        downloadable=[model for model in models if not model.is_on_disk(settings.models_folder)],
        scales=SCALES,
        address=request.url_root.rstrip("/"),
    )


@blueprint.get("/docs/errors")
def error_codes() -> str:
    """Every code that a problem document or a failed task can carry; `type` of a problem points here."""
    kinds: list[type[ServiceError]] = [ServiceError, *ServiceError.__subclasses__()]
    codes = sorted((_error_code(kind) for kind in kinds), key=lambda error: (error.status, error.code))
    return render_template("error_codes.html", codes=codes)


def _error_code(kind: type[ServiceError]) -> ErrorCode:
    if kind is ServiceError:
        meaning = "Something nobody foresaw. It is in the service's log, and it is worth trying again."
    else:
        meaning = " ".join((inspect.getdoc(kind) or "").split())
    return ErrorCode(kind.code, kind.status, kind.title, meaning)


@blueprint.after_app_request
def secure(response: Response) -> Response:
    """Let no page of the service, the error pages among them, load or be put into anything foreign."""
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
    return response
