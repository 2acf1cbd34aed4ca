"""`/error_500`: a mistake on purpose, to see the page for it. In development only."""

from __future__ import annotations

from flask import abort, current_app

from views.pages.blueprint import blueprint


@blueprint.get("/error_500")
def error_500() -> str:
    if not current_app.debug:
        abort(404)
    raise RuntimeError("This mistake was made on purpose, by opening /error_500.")
