"""`/b/<batch_id>`: the pictures that came together, their total progress, and all results in one ZIP."""

from __future__ import annotations

from flask import render_template
from werkzeug import Response

from views.batches import batch_document, find_batch
from views.pages.blueprint import blueprint
from views.pages.task import REFRESH, uncached


@blueprint.get("/b/<batch_id>")
def batch(batch_id: str) -> Response:
    """How the batch stands."""
    found, jobs = find_batch(batch_id)
    by_id = {job.id: job for job in jobs}
    over = [job for job in jobs if job.status.is_final]
    return uncached(
        render_template(
            "batch.html",
            batch=found,
            files=[(file, by_id.get(file.task_id or "")) for file in found.files],
            document=batch_document(found, jobs),
            is_over=len(over) == len(jobs),
            done=len(over),
            refresh=REFRESH,
        )
    )
