"""`POST /language`: keep the visitor's choice of a language, and go back to the page that it was made on."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from flask import redirect, request
from werkzeug import Response

from views.pages.blueprint import blueprint, local_path
from views.pages.language import COOKIE, LANGUAGES

KEPT = timedelta(days=365)


@blueprint.post("/language")
def choose_language() -> Response:
    chosen = request.form.get("language", "")
    response = redirect(local_path(request.form.get("back", "")), HTTPStatus.SEE_OTHER)
    if chosen in LANGUAGES:
        response.set_cookie(COOKIE, chosen, max_age=KEPT, samesite="Lax", httponly=True, secure=request.is_secure)
    return response
