"""`GET /openapi.json`: the description of the API, for programs."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify, request

from views.openapi.document import api_document
from views.openapi.operations import ok, operation
from views.processed import IF_NONE_MATCH, NOT_MODIFIED, VALIDATORS
from views.rate_limit import is_counted

blueprint = Blueprint("api_docs", __name__)


@blueprint.get("/openapi.json")
@operation(
    "get_description",
    "Service",
    ok({"type": "object"}, "An OpenAPI 3.1 document.", *VALIDATORS),
    NOT_MODIFIED,
    parameters=[IF_NONE_MATCH],
    uses_store=False,
)
def openapi_json() -> Response:
    """This description of the API, as OpenAPI 3.1."""
    response = jsonify(api_document(current_app, is_counted))
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request.environ)  # type: ignore[return-value]
