"""Answers that several resources give."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response


def no_content() -> Response:
    """204: nothing comes, and so of no type."""
    response = Response(status=HTTPStatus.NO_CONTENT)
    del response.headers["Content-Type"]
    return response
