"""The OpenAPI document: the routes of the application, what their views say of themselves, and the errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Any

from apispec import APISpec
from apispec_webframeworks.flask import FlaskPlugin
from flask import Flask
from werkzeug.routing import Rule

from mongo.task_document import CallbackDocument
from utils.errors import (
    KINDS,
    BadRequest,
    MethodNotAllowed,
    RouteNotFound,
    ServiceError,
    ServiceUnavailable,
    StoreUnavailable,
    TooManyConnections,
    TooManyRequests,
)
from views.errors import ProblemDocument
from views.openapi import headers, texts
from views.openapi.headers import Header
from views.openapi.operations import Answer, Operation, Parameter, operation_of
from views.openapi.schemas import schema_of
from views.openapi.webhook import task_ended

VERSION = "0.1.0"
PROBLEM, HTML = "application/problem+json", "text/html"

EVERYWHERE = (BadRequest, ServiceError, ServiceUnavailable, TooManyConnections)
"""Errors that any operation may answer with."""


def api_document(app: Flask, is_counted: Callable[[str], bool]) -> dict[str, Any]:
    """The description of all operations of `app`. The form's schema is made for the present request.

    Args:
        is_counted: whether RATE_LIMIT counts the requests for the views of that blueprint.
    """
    spec = APISpec(
        "Image upscaler",
        VERSION,
        "3.1.0",
        plugins=[FlaskPlugin()],
        info={"description": texts.INTRODUCTION, "license": {"name": "MIT", "identifier": "MIT"}},
        servers=[{"url": "/"}],
        tags=[{"name": name, "description": text} for name, text in texts.TAGS.items()],
    )
    schema_of(ProblemDocument, spec)
    for error in KINDS:
        spec.components.example(error.code, {"summary": error.title, "value": _example(error)})
    for error in (RouteNotFound, MethodNotAllowed):
        spec.components.response(error.__name__, _problem(spec, [error], []))
    spec.options["webhooks"] = {"task_ended": {"post": task_ended(schema_of(CallbackDocument, spec))}}
    for rule, view in described_routes(app):
        noted = operation_of(view)
        if noted is None:
            continue
        limits = [headers.RATE_LIMIT, headers.RATE_LIMIT_POLICY] if is_counted(rule.endpoint.partition(".")[0]) else []
        described = _operation(spec, rule, view, noted, limits)
        operations = {method_of(rule).lower(): described}
        if noted.head:
            operations["head"] = _without_bodies(described)
        spec.path(view=view, app=app, operations=operations)
    return spec.to_dict()


def described_routes(app: Flask) -> Iterable[tuple[Rule, Callable[..., Any]]]:
    """Every route and its view, but for the files of the pages."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    return [(rule, app.view_functions[rule.endpoint]) for rule in sorted(rules, key=lambda rule: rule.rule)]


def method_of(rule: Rule) -> str:
    """The one method that the view of `rule` is for; Flask adds HEAD and OPTIONS."""
    (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    return method


def _operation(
    spec: APISpec, rule: Rule, view: Callable[..., Any], noted: Operation, limits: list[Header]
) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(view) or "").partition("\n\n")
    path_parameters = [texts.PATH_PARAMETERS[name] | {"name": name} for name in sorted(rule.arguments)]
    described: dict[str, Any] = {
        "operationId": noted.id,
        "tags": [noted.tag],
        "summary": " ".join(summary.split()),
        "parameters": [*path_parameters, *(_parameter(each) for each in noted.parameters)],
        "responses": _responses(spec, noted.answers, _all_errors(rule, noted, bool(limits)), limits),
    }
    if description:
        described["description"] = description
    if noted.form:
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": noted.form()}}
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.meaning,
        "schema": dict(parameter.schema),
    }
    if parameter.required:
        described["required"] = True
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _all_errors(rule: Rule, noted: Operation, is_counted: bool) -> list[type[ServiceError]]:
    errors = [*noted.errors, *EVERYWHERE]
    if noted.uses_store:
        errors.append(StoreUnavailable)
    if is_counted:
        errors.append(TooManyRequests)
    if rule.arguments:
        errors.append(RouteNotFound)
    return errors


def _responses(
    spec: APISpec, answers: Sequence[Answer], errors: Sequence[type[ServiceError]], limits: list[Header]
) -> dict[str, Any]:
    responses = {str(int(answer.status)): _answer(spec, answer, limits) for answer in answers}
    by_status = sorted(errors, key=lambda kind: (kind.status, kind.code))
    for status, kinds in groupby(by_status, key=lambda kind: kind.status):
        problem = _problem(spec, list(kinds), limits)
        if present := responses.get(str(status)):
            present["description"] += f" Or: {problem['description']}"
            present.setdefault("content", {}).update(problem["content"])
        else:
            responses[str(status)] = problem
    return dict(sorted(responses.items()))


def _answer(spec: APISpec, answer: Answer, limits: list[Header]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.meaning}
    if described := _headers(spec, [*answer.headers, *limits]):
        response["headers"] = described
    if answer.media_type:
        content: dict[str, Any] = {"schema": schema_of(answer.body, spec)}
        if answer.example is not None:
            content["example"] = answer.example
        response["content"] = {answer.media_type: content}
    if answer.links:
        response["links"] = {
            f"{name}": {"operationId": name, "parameters": dict(parameters)}
            for name, parameters in answer.links.items()
        }
    return response


def _headers(spec: APISpec, described: Iterable[Header]) -> dict[str, Any]:
    """References to the headers, by their names; each is a component of `spec` from then on."""
    return {header.name: {"$ref": f"#/components/headers/{_component(spec, header)}"} for header in described}


def _component(spec: APISpec, header: Header) -> str:
    name = header.name if header.required else f"{header.name}.optional"
    if name not in spec.components.headers:
        component = {"description": header.meaning, "schema": header.schema, "example": header.example}
        spec.components.header(name, component | ({"required": True} if header.required else {}))
    return name


def _problem(spec: APISpec, kinds: Sequence[type[ServiceError]], limits: list[Header]) -> dict[str, Any]:
    """The response of errors that share a status."""
    status = kinds[0].status
    told = [headers.sometimes(headers.RETRY_AFTER)]
    told += [headers.ALLOW] if status == HTTPStatus.METHOD_NOT_ALLOWED else []
    told += [headers.UPGRADE] if status == HTTPStatus.UPGRADE_REQUIRED else []
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/ProblemDocument"},
            {"properties": {"status": {"const": status}, "code": {"enum": [kind.code for kind in kinds]}}},
        ]
    }
    examples = {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds}
    return {
        "description": " ".join(f"`{kind.code}`: {kind.title}." for kind in kinds),
        "headers": _headers(spec, [*told, *limits]),
        "content": {
            PROBLEM: {"schema": schema, "examples": examples},
            HTML: {"schema": {"type": "string"}},  # to a browser, that is with `Accept: text/html`
        },
    }


def _example(kind: type[ServiceError]) -> dict[str, Any]:
    """A problem document, whose detail says when that kind of error comes."""
    return {
        "type": f"/docs/errors#{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": " ".join((inspect.getdoc(kind) or kind.title).split()),
        "code": kind.code,
        "instance": "/…",
    }


def _without_bodies(described: Mapping[str, Any]) -> dict[str, Any]:
    """The same operation with HEAD."""
    responses = {
        status: {key: value for key, value in response.items() if key in ("description", "headers")}
        for status, response in described["responses"].items()
    }
    return {
        **described,
        "operationId": f"head_{described['operationId']}",
        "summary": f"{described['summary']} The headers alone.",
        "responses": responses,
    }
