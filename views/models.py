"""`GET /models`: the networks there are to choose from."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from upscaler.catalog import ModelInfo, list_models
from views.context import context

blueprint = Blueprint("models", __name__)


@blueprint.get("/models")
def models() -> Response:
    """Every model that the form field `model` may name, the default one first."""
    settings = context().settings
    found = sorted(list_models(settings.models_folder), key=lambda info: info.name != settings.default_model)
    return jsonify(models=[_model_document(info) for info in found])


def _model_document(info: ModelInfo) -> dict[str, Any]:
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
