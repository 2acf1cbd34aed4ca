"""The pages for people: the upload page, and what every error code means."""

from __future__ import annotations

from flask import Blueprint, render_template

from utils.errors import ServiceError
from views.context import context

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """Drop a picture, watch it being made, compare, download."""
    return render_template("index.html", settings=context().settings)


@blueprint.get("/docs/errors")
def error_codes() -> str:
    """Every code that a problem document or a failed task can carry; `type` of a problem points here."""
    kinds: list[type[ServiceError]] = [ServiceError, *ServiceError.__subclasses__()]
    kinds.sort(key=lambda kind: kind.code)
    return render_template("error_codes.html", kinds=kinds)
