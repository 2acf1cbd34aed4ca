"""Types of Python as JSON Schemas, by pydantic: those that have a name become components of the document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from apispec import APISpec
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema


class _Untitled(GenerateJsonSchema):
    """Without the titles that pydantic makes of the names of members: "Task Id" says no more than `task_id`."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_of(body: Any, spec: APISpec) -> Mapping[str, Any]:
    """The schema of a type, whose named parts are components of `spec` from then on; a schema is returned as it is."""
    if isinstance(body, Mapping):
        return body
    schema, named = _made(body)
    for name, part in named.items():
        if name not in spec.components.schemas:
            spec.components.schema(name, part)
    return schema


@cache
def _made(body: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The schema of a type, and those of its named parts by their names."""
    schemas, definitions = TypeAdapter.json_schemas(
        [("body", "serialization", TypeAdapter(body))],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    return schemas["body", "serialization"], definitions.get("$defs", {})
