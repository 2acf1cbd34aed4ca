"""The form of `POST /upscale` as a schema: the fields of UpscaleRequest, and those that the upload itself has."""

from __future__ import annotations

from typing import Any, get_args

from upscaler.catalog import list_models
from utils.callback_url import MOST_CHARACTERS
from utils.upscale_request import UpscaleRequest
from views.context import context
from views.openapi.operations import Schema
from views.upload_form import OnConflict

MEANINGS = {
    "model": "A network, see `GET /models`.",
    "scale": "How many times larger. Default: as the model does.",
    "width": "Pixels, in place of `scale`; together with `height` the picture fits inside.",
    "height": "Pixels, in place of `scale`; together with `width` the picture fits inside.",
    "format": "The result's format; `same` is the upload's.",
    "quality": "Of a JPEG or WebP result. Default: 95.",
    "denoise": "How much to clean, for models that have this control.",
    "metadata": "What becomes of EXIF, XMP and the resolution.",
}


def upload_form() -> Schema:
    """The media type object of the form, with the models that there are now."""
    settings = context().settings
    models = list_models(settings.models_folder)
    denoising = [model.name for model in models if model.can_denoise]
    wishes = UpscaleRequest.model_json_schema()["properties"]
    fields = {name: _or_empty({"description": MEANINGS[name], **_plain(schema)}) for name, schema in wishes.items()}
    fields["model"] = {
        "description": MEANINGS["model"],
        "enum": [*(model.name for model in models), ""],
        "default": settings.default_model,
    }
    return {
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "required": ["image"],
            "properties": {
                "image": {
                    "description": "The picture: PNG or JPEG by its content and by the extension of its file's name. "
                    "Several parts make a batch.",
                    "type": "array",
                    "items": {"type": "string", "format": "binary"},
                    "minItems": 1,
                },
                **fields,
                "on_conflict": {
                    "description": "What to do if the name has a current task: `return` it, `replace` it, `rename` "
                    "the picture (`photo (2).jpg`), or `reject` the upload (409).",
                    "enum": [*get_args(OnConflict), ""],
                    "default": "return",
                },
                "callback_url": {
                    "description": "Where to POST when the task has ended. Refused where the operator has "
                    "set no secret to sign with.",
                    "anyOf": [{"type": "string", "format": "uri", "maxLength": MOST_CHARACTERS}, {"const": ""}],
                },
            },
            "not": {
                "anyOf": [
                    {"required": ["scale", "width"]},
                    {"required": ["scale", "height"]},
                    {"required": ["denoise"], "properties": {"model": {"not": {"enum": denoising}}}},
                ]
            },
        },
        "encoding": {"image": {"contentType": "image/png, image/jpeg"}},
    }


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional field without null, which a form cannot send."""
    schema = {key: value for key, value in schema.items() if key not in ("title", "default") or value is not None}
    schema.pop("title", None)
    (given,) = [each for each in schema.pop("anyOf", [{}]) if each.get("type") != "null"]
    return schema | given


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """An empty field counts as absent: so forms of HTML send what nobody filled in."""
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], ""]}
    description = schema.pop("description")
    return {"description": description, "anyOf": [schema, {"const": ""}]}
