"""Whom an answer is for: a person with a browser, or a program."""

from __future__ import annotations

from flask import request


def prefers_page() -> bool:
    """Whether HTML is preferred to JSON. Who takes anything, as curl does, gets JSON."""
    return request.accept_mimetypes.best_match(["application/problem+json", "application/json", "text/html"]) == (
        "text/html"
    )
