"""The description of the API against the application: nothing is missing in either."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from main import create_app
from utils.errors import KINDS, TASK_ERRORS, MethodNotAllowed
from views.context import context_of
from views.openapi.document import described_routes, method_of
from views.openapi.operations import operation_of

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def app(mongo_url: str) -> Iterator[Flask]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONGO_URL", mongo_url)
        app = create_app()
    yield app
    context_of(app).store.close()


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get("/openapi.json")
    assert answer.status_code == 200
    return answer.get_json()


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_every_route_is_in_the_document(app: Flask) -> None:
    for rule, view in described_routes(app):
        assert operation_of(view) or rule.endpoint.startswith("pages."), (
            f"{rule} is not described. Say what it answers by @operation under its route decorator, as views/tasks.py "
            "does, or put it into the blueprint `pages` if it is a page for people."
        )


def test_whatever_is_in_the_document_is_a_route(app: Flask, document: dict[str, Any]) -> None:
    routes = {(rule.rule.replace("<", "{").replace(">", "}"), method_of(rule)) for rule, _ in described_routes(app)}
    for path, item in document["paths"].items():
        for method in item.keys() - {"head"}:
            assert (path, method.upper()) in routes
        assert ("head" not in item) or (path, "GET") in routes


def test_operations_have_names_of_their_own_and_say_what_they_do(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document)]
    assert len(set(ids)) == len(ids)
    groups = {tag["name"] for tag in document["tags"]}
    for operation in operations(document):
        assert len(operation["summary"]) > 10
        assert set(operation["tags"]) <= groups


def test_every_error_is_told_where_it_can_be_met(document: dict[str, Any]) -> None:
    told = {
        (code, int(status))
        for operation in operations(document)
        for status, response in operation["responses"].items()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    everywhere = {(MethodNotAllowed.code, MethodNotAllowed.status)}  # in the introduction: of no operation
    in_tasks = {(kind.code, kind.status) for kind in TASK_ERRORS}
    missing = {(kind.code, kind.status) for kind in KINDS} - told - everywhere - in_tasks
    assert not missing, "Name them in `errors` of the operations that may answer so, or in TASK_ERRORS."


def test_no_code_is_told_that_there_is_not(document: dict[str, Any]) -> None:
    assert document["components"]["examples"].keys() == {kind.code for kind in KINDS}
    for example in document["components"]["examples"].values():
        check(example["value"], {"$ref": "#/components/schemas/ProblemDocument"}, document)


def test_examples_are_as_their_schemas_say(document: dict[str, Any]) -> None:
    checked = 0
    for operation in operations(document):
        for response in operation["responses"].values():
            content = response.get("content", {}).get("application/json", {})
            if "example" in content:
                check(content["example"], content["schema"], document)
                checked += 1
    assert checked > 5
    event = document["webhooks"]["task_ended"]["post"]["requestBody"]["content"]["application/json"]
    check(event["example"], event["schema"], document)


def check(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def test_the_callback_is_described(document: dict[str, Any]) -> None:
    event = document["webhooks"]["task_ended"]["post"]
    names = {"webhook-id", "webhook-timestamp", "webhook-signature", "X-Request-ID"}
    assert names == {each["name"] for each in event["parameters"]}


def test_the_version_is_that_of_the_project(document: dict[str, Any]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert document["info"]["version"] == project["version"]


def test_the_document_need_not_be_fetched_twice(app: Flask) -> None:
    client = app.test_client()
    etag = client.get("/openapi.json").headers["ETag"]
    assert client.get("/openapi.json", headers={"If-None-Match": etag}).status_code == 304


def test_the_page_tells_of_every_operation_and_document(app: Flask, document: dict[str, Any]) -> None:
    page = app.test_client().get("/docs").text
    for operation in operations(document):
        assert f'<article id="{operation["operationId"]}">' in page
    for name in [*document["webhooks"], *document["components"]["schemas"]]:
        assert f'<article id="{name}">' in page
    assert "curl -F image=@photo.jpg http://localhost/upscale" in page
