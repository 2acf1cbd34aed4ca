"""What a view says of itself for the API's description, in the words of OpenAPI 3.1.

    @blueprint.get("/tasks/<task_id>")
    @operation("get_task", "Tasks", ok(TaskDocument, "How the task stands."), errors=[UnknownTask])
    def task(task_id: str) -> Response:
        \"\"\"A summary in one line. Everything behind it is the long description.\"\"\"

The route, the methods and the texts are taken from the code; errors that every route may give are added to all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from utils.errors import ServiceError
from views.openapi.headers import Header

JSON = "application/json"

View = TypeVar("View", bound=Callable[..., Any])
Schema = Mapping[str, Any]  # a JSON Schema


@dataclass(frozen=True)
class Parameter:
    """A parameter in the query or a header of a request. Those in the path: `texts.PATH_PARAMETERS`."""

    name: str
    where: str  # query or header
    meaning: str
    schema: Schema
    example: Any = None
    required: bool = False


@dataclass(frozen=True)
class Answer:
    """What an operation answers when it goes well."""

    status: int
    meaning: str
    media_type: str | None = None  # None: it has no body
    body: Any = None  # a type of Python, for JSON; or a schema
    example: Any = None
    headers: Sequence[Header] = ()
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # operation: {its parameter: where it is here}


@dataclass(frozen=True)
class Operation:
    """All that a view says of itself."""

    id: str
    tag: str
    answers: Sequence[Answer]
    errors: Sequence[type[ServiceError]] = ()
    parameters: Sequence[Parameter] = ()
    form: Callable[[], Schema] | None = None  # makes the media type object of multipart/form-data
    uses_store: bool = True  # and so fails without MongoDB
    head: bool = False  # HEAD is worth describing by itself


def operation(
    id: str,  # noqa: A002 - OpenAPI's word
    tag: str,
    *answers: Answer,
    errors: Sequence[type[ServiceError]] = (),
    parameters: Sequence[Parameter] = (),
    **more: Any,
) -> Callable[[View], View]:
    """Describe the view below. Place it under the decorator that gives the view its route.

    Args:
        more: members of Operation.
    """

    def note(view: View) -> View:
        view.described = Operation(id, tag, answers, errors, parameters, **more)  # type: ignore[attr-defined]
        return view

    return note


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """What `view` says of itself; None if it says nothing."""
    return getattr(view, "described", None)


def ok(body: Any, meaning: str, *headers: Header, example: Any = None, **more: Any) -> Answer:
    """200 with JSON.

    Args:
        body: a type of Python that the document is of.
        more: members of Answer.
    """
    return Answer(HTTPStatus.OK, meaning, JSON, body, example, headers, **more)
