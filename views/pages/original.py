"""`/t/<task_id>/original`: the picture as it was uploaded, for as long as it is kept."""

from __future__ import annotations

from flask import Response
from werkzeug.wsgi import FileWrapper

from utils.errors import Expired
from views.context import context
from views.pages.blueprint import blueprint
from views.streaming import BLOCK_BYTES, begun
from views.tasks import find_task


@blueprint.get("/t/<task_id>/original")
def original(task_id: str) -> Response:
    """For before and after in a browser other than the one that sent it. Whatever it is, it comes as a picture."""
    job = find_task(task_id)
    file = context().store.uploads.open(job.source.file_id) if job.source.file_id else None
    if file is None:
        raise Expired(f"{job.name} as it was uploaded is no longer kept.", task_id=job.id)
    response = Response(
        FileWrapper(file, BLOCK_BYTES), mimetype=f"image/{job.source.format.lower()}", direct_passthrough=True
    )
    response.content_length = job.source.bytes
    response.headers["Cache-Control"] = "private, max-age=3600"  # what a task was made of never changes
    response.headers["Content-Disposition"] = "attachment"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return begun(response)
