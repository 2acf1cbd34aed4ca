"""`GET /models`: the networks there are to choose from."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import Field, with_config
from typing_extensions import TypedDict

from mongo.task_document import DOCUMENT
from upscaler.catalog import ModelInfo, Source, list_models
from views.context import context
from views.openapi import examples
from views.openapi.operations import ok, operation

blueprint = Blueprint("models", __name__)


@with_config(DOCUMENT)
class ModelDocument(TypedDict):
    """A network that can be asked for."""

    name: str
    default: bool
    """Whether it is used when a request names none."""
    description: str
    scale: Annotated[int, Field(ge=1)]
    """How many times it enlarges by itself."""
    denoise: bool
    """Whether it has the control `denoise`."""
    licence: str
    bytes: Annotated[int, Field(ge=0)]
    source: Source
    url: str | None
    """Where it is downloaded from when it is first used."""
    on_disk: bool


@with_config(DOCUMENT)
class ModelList(TypedDict):
    """All networks."""

    models: list[ModelDocument]


@blueprint.get("/models")
@operation(
    "list_models",
    "Service",
    ok(ModelList, "The networks, the default one first.", example=examples.MODELS),
    uses_store=False,
)
def models() -> Response:
    """Every model that the form field `model` may name, the default one first."""
    settings = context().settings
    found = sorted(list_models(settings.models_folder), key=lambda info: info.name != settings.default_model)
    return jsonify(models=[_model_document(info) for info in found])


def _model_document(info: ModelInfo) -> ModelDocument:
    settings = context().settings
    return {
        "name": info.name,
        "default": info.name == settings.default_model,
        "description": info.description,
        "scale": info.scale,
        "denoise": info.can_denoise,
        "licence": info.licence,
        "bytes": info.bytes,
        "source": info.source,
        "url": info.url,
        "on_disk": info.is_on_disk(settings.models_folder),
    }
