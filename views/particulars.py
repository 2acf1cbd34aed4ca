"""`/processed/<name>/metadata` and `/thumbnail`: what a picture carries, and how it looks, without fetching it."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from mongo.task_document import image_document
from utils import thumbnails
from utils.errors import InvalidParameter
from views.context import context
from views.processed import absence, finished

blueprint = Blueprint("particulars", __name__)

USUAL_SIDE = 256  # px


@blueprint.get("/processed/<name>/metadata")
def metadata(name: str) -> Response:
    """Format, size, mode, profile, EXIF tags, place and resolution, of the source and of the result."""
    job, result, file_id = finished(name)
    told = context().store.particulars.descriptions(file_id)
    if told is None:
        raise absence(job)
    response = jsonify(
        name=job.name,
        task_id=job.id,
        source=image_document(job.source) | dict(told.source),
        result=image_document(result) | dict(told.result),
    )
    response.add_etag()
    return _revalidated(response)


@blueprint.get("/processed/<name>/thumbnail")
def thumbnail(name: str) -> Response:
    """The result made small: at most `size` pixels a side, never enlarged, as WebP in sRGB."""
    side = _side(request.args.get("size", str(USUAL_SIDE)))
    job, result, file_id = finished(name)
    response = Response(mimetype="image/webp")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.set_etag(f"{result.sha256}-{side}")
    if _revalidated(response).status_code == HTTPStatus.OK:
        kept = context().store.particulars.thumbnail(file_id, thumbnails.kept_side(side))
        if kept is None:
            raise absence(job)
        response.data = thumbnails.shrunk(kept, side)
    return response


def _side(value: str) -> int:
    smallest, largest = thumbnails.SMALLEST, thumbnails.LARGEST
    if value.isascii() and value.isdigit() and smallest <= int(value) <= largest:
        return int(value)
    raise InvalidParameter(f"size={value!r} is not valid: it can be {smallest} to {largest} pixels.", field="size")


def _revalidated(response: Response) -> Response:
    """To be kept by the caller, and asked for anew: the same name may hold another picture one day."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.make_conditional(request.environ)
    return response
