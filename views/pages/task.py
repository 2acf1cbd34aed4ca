"""`/t/<task_id>`: a picture's page, while it waits, while it is made, and with its result."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import g, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from mongo.jobs import Job, Status
from mongo.particulars import Descriptions
from mongo.task_document import task_document
from views.context import context, owner
from views.pages.blueprint import blueprint, local_path
from views.pages.start import SCALES, models_on_disk
from views.processed import result_of
from views.tasks import find_task

REFRESH = 3  # s; how often the page comes again where no script looks after it
LIGHT_PIXELS, LIGHT_BYTES = 16_000_000, 6 * 1024**2  # a result up to both is shown whole at once, on any phone
ALREADY = {"same": "result.already_same", "other": "result.already_other"}  # texts: see `views.upscale`


@blueprint.get("/t/<task_id>")
def task(task_id: str) -> Response:
    """How the task stands: its address is all that a visitor needs to keep."""
    g.task_id = task_id
    job = find_task(task_id)
    return uncached(_page(job))


@blueprint.post("/t/<task_id>/cancel")
def cancel_task(task_id: str) -> Response:
    """Cancel it, if it is not over yet; its page tells which."""
    g.task_id = task_id
    context().store.jobs.cancel(owner(), task_id)
    return _back_to(url_for("pages.task", task_id=task_id))


@blueprint.post("/t/<task_id>/delete")
def delete_result(task_id: str) -> Response:
    """Delete the result; that it is gone already is as good."""
    g.task_id = task_id
    context().store.jobs.let_go(find_task(task_id))
    return _back_to(url_for("pages.mine"))


def _page(job: Job) -> str:
    if not job.status.is_final:
        estimate = context().estimator.of(job)
        return render_template("waiting.html", job=job, estimate=estimate, refresh=REFRESH, already=_already())
    if job.status is not Status.SUCCESS:
        return render_template("ended.html", job=job)
    result, file_id = result_of(job)
    models = models_on_disk()
    return render_template(
        "result.html",
        job=job,
        links=task_document(job)["links"],
        already=_already(),
        is_light=result.width * result.height <= LIGHT_PIXELS and result.bytes <= LIGHT_BYTES,
        kept=_kept(context().store.particulars.descriptions(file_id)),
        models=models,
        own_scale=next((model.scale for model in models if model.name == job.request.model), models[0].scale),
        scales=SCALES,
    )


def _already() -> str | None:
    """The text for a visitor whose upload was answered with a task that had been there before."""
    return ALREADY.get(request.args.get("already", ""))


def _kept(told: Descriptions | None) -> list[tuple[str, dict[str, Any]]]:
    """What the source carried: a text's key, with `_lost` where the result has it no more, and its values."""
    if told is None:
        return []
    source, result = told.source, told.result
    lines: list[tuple[str, dict[str, Any]]] = []
    if source["icc_profile"]:
        lines.append((_line("profile", result["icc_profile"]), {"name": source["icc_profile"]}))
    if source["exif"]:
        kept = len(source["exif"].keys() & result["exif"].keys())
        lines.append((_line("tags", kept), {"count": kept or len(source["exif"])}))
    if source["has_gps"]:
        lines.append((_line("place", result["has_gps"]), {}))
    if source["dpi"]:
        lines.append((_line("dpi", result["dpi"]), {"dpi": round(source["dpi"][0])}))
    return lines


def _line(what: str, is_kept: object) -> str:
    return what if is_kept else f"{what}_lost"


def uncached(page: str) -> Response:
    """A page that tells how something stands, to be asked for anew each time."""
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


def _back_to(usual: str) -> Response:
    """To where the form was, if it says so."""
    return redirect(local_path(request.form.get("back", usual)), HTTPStatus.SEE_OTHER)
