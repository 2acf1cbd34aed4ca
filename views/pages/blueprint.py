"""The blueprint that all pages are on, and what holds for every one of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from utils.errors import ForeignOrigin
from views.pages.formats import Formats
from views.pages.language import LANGUAGES, present_language
from views.pages.texts import texts_of

blueprint = Blueprint("pages", __name__)

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


@blueprint.app_context_processor
def in_every_template() -> dict[str, Any]:
    """The texts and the formats of the visitor's language, and the languages to choose from."""
    language = present_language()
    return {"language": language, "languages": LANGUAGES, "t": texts_of(language), "formats": Formats(language)}


@blueprint.before_request
def refuse_foreign_forms() -> None:
    """A form on another site must not delete anything here."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None and urlsplit(origin).netloc != request.host:
        raise ForeignOrigin("This form belongs to another site. Use the one on the page here.")


@blueprint.after_app_request
def secure(response: Response) -> Response:
    """Let no page of the service, the error pages among them, load or be put into anything foreign."""
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Referrer-Policy"] = "same-origin"  # without any, forms of ours would have no origin either
        response.headers["Content-Language"] = present_language()
        response.vary.update(["Accept-Language", "Cookie"])
    return response


def local_path(address: str) -> str:
    """`address` if it is a path on this host, else the start page: nobody is to be sent elsewhere from here."""
    is_local = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_local and address.isprintable() else "/"
