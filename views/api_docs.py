"""`GET /openapi.json` and `GET /docs`: the description of the API, for programs and for people."""

from __future__ import annotations

import json
import shlex
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template, request

from views.openapi.document import api_document
from views.openapi.operations import Answer, ok, operation
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
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return response.make_conditional(request.environ)  # type: ignore[return-value]


@blueprint.get("/docs")
@operation(
    "read_description",
    "Service",
    Answer(HTTPStatus.OK, "A page.", "text/html", {"type": "string"}),
    uses_store=False,
)
def docs() -> str:
    """This description of the API, as a page to read."""
    document = api_document(current_app, is_counted)
    address = request.url_root.rstrip("/")
    operations = [
        described | {"path": path, "method": method.upper(), "curl": _curl(address, path, method, described)}
        for path, item in document["paths"].items()
        for method, described in item.items()
    ]
    return render_template("docs.html", document=document, operations=operations)


@blueprint.app_template_filter()
def pretty_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _curl(address: str, path: str, method: str, described: dict[str, Any]) -> str:
    """A command that carries the operation out, with the examples of its parameters."""
    words = ["curl"]
    if method == "head":
        words.append("--head")
    elif method == "delete":
        words += ["-X", "DELETE"]
    if "requestBody" in described:
        words += ["-F", "image=@photo.jpg"]
    if any("text/event-stream" in answer.get("content", {}) for answer in described["responses"].values()):
        words.append("--no-buffer")
    for parameter in described["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
        elif parameter["in"] == "header" and parameter.get("required"):
            example = parameter.get("example", parameter["schema"].get("const"))
            words += ["-H", f"{parameter['name']}: {example}"]
    return shlex.join([*words, address + path])
