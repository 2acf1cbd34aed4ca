"""`/`: choose pictures, see what they will become, send them."""

from __future__ import annotations

from flask import render_template, request

from upscaler.catalog import ModelInfo, list_models
from views.context import context
from views.pages.blueprint import blueprint

SCALES = ("1", "2", "3", "4", "6", "8")  # offered in the options; the service itself takes fractions too


@blueprint.get("/")
def index() -> str:
    """The form. `?model=` and `?scale=` choose beforehand."""
    settings = context().settings
    models = models_on_disk()
    by_name = {model.name: model for model in models}
    chosen = by_name.get(request.args.get("model", ""), models[0])
    return render_template(
        "start.html",
        settings=settings,
        models=models,
        chosen_model=chosen.name,
        own_scale=chosen.scale,
        scales=SCALES,
        chosen_scale=request.args.get("scale", ""),
        address=request.url_root.rstrip("/"),
    )


def models_on_disk() -> list[ModelInfo]:
    """The models whose first task need not download anything, the default one first."""
    settings = context().settings
    there = [model for model in list_models(settings.models_folder) if model.is_on_disk(settings.models_folder)]
    return sorted(there, key=lambda model: model.name != settings.default_model)
