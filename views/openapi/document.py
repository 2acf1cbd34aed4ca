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
from utils.version import VERSION
from views.errors import ProblemDocument
from views.openapi import headers, texts
from views.openapi.headers import Header, references
from views.openapi.operations import Answer, Operation, Parameter, operation_of
from views.openapi.problems import example_of, problem_response
from views.openapi.schemas import schema_of
from views.openapi.webhook import task_ended

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
        spec.components.example(error.code, {"summary": error.title, "value": example_of(error)})
    for error in (RouteNotFound, MethodNotAllowed):
        spec.components.response(error.__name__, problem_response(spec, [error], []))
    spec.options["webhooks"] = {"task_ended": {"post": task_ended(schema_of(CallbackDocument, spec))}}
    for rule, view in described_routes(app):
        noted = operation_of(view)
        if noted is None:
            continue
        counted = is_counted(rule.endpoint.partition(".")[0])
        described = _operation(spec, rule, view, noted, counted)
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


def _operation(spec: APISpec, rule: Rule, view: Callable[..., Any], noted: Operation, counted: bool) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(view) or "").partition("\n\n")
    common = [headers.REQUEST_ID, *([headers.RATE_LIMIT, headers.RATE_LIMIT_POLICY] if counted else [])]
    path_parameters = [texts.PATH_PARAMETERS[name] | {"name": name} for name in sorted(rule.arguments)]
    described: dict[str, Any] = {
        "operationId": noted.id,
        "tags": [noted.tag],
        "summary": " ".join(summary.split()),
        "parameters": [*path_parameters, *(_parameter(each) for each in noted.parameters)],
        "responses": _responses(spec, noted.answers, _all_errors(rule, noted, counted), common),
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
    spec: APISpec, answers: Sequence[Answer], errors: Sequence[type[ServiceError]], common: list[Header]
) -> dict[str, Any]:
    responses = {str(int(answer.status)): _answer(spec, answer, common) for answer in answers}
    by_status = sorted(errors, key=lambda kind: (kind.status, kind.code))
    for status, kinds in groupby(by_status, key=lambda kind: kind.status):
        problem = problem_response(spec, list(kinds), common)
        if present := responses.get(str(status)):
            present["description"] += f" Or: {problem['description']}"
            present.setdefault("content", {}).update(problem["content"])
        else:
            responses[str(status)] = problem
    return dict(sorted(responses.items()))


def _answer(spec: APISpec, answer: Answer, common: list[Header]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.meaning}
    if answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
        common = []  # the WebSocket library answers, past Flask
    if described := references(spec, [*answer.headers, *common]):
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
