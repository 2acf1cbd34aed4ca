"""`/processed/<name>/metadata` and `/thumbnail`: what a picture carries, and how it looks, without fetching it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from pydantic import Field, with_config
from typing_extensions import TypedDict

from mongo.task_document import DOCUMENT, ImageDocument, image_document
from utils import thumbnails
from utils.errors import InvalidParameter
from views.context import context
from views.openapi import examples, headers
from views.openapi.operations import Answer, Parameter, ok, operation
from views.processed import ABSENCES, IF_NONE_MATCH, NOT_MODIFIED, VALIDATORS, absence, finished
from views.whole_numbers import whole_number

blueprint = Blueprint("particulars", __name__)

USUAL_SIDE = 256  # px


@with_config(DOCUMENT)
class PictureParticulars(ImageDocument):
    """What a picture carries."""

    icc_profile: str | None
    """The name of its colour profile."""
    exif: dict[str, Any]
    """Tags by their names in the standard; bytes as `{"base64": "…"}`."""
    omitted: list[str]
    """Names of the tags that were too large to be told."""
    has_gps: bool
    """Whether EXIF or XMP tells the place that it was taken at."""
    dpi: list[float] | None
    """Across and down."""


@with_config(DOCUMENT)
class MetadataDocument(TypedDict):
    """What the source and the result of a task carry."""

    name: str
    task_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    source: PictureParticulars
    result: PictureParticulars


SIZE = Parameter(
    "size",
    "query",
    "Pixels a side, at most.",
    {"type": "integer", "minimum": thumbnails.SMALLEST, "maximum": thumbnails.LARGEST, "default": USUAL_SIDE},
    128,
)


@blueprint.get("/processed/<name>/metadata")
@operation(
    "get_metadata",
    "Results",
    ok(MetadataDocument, "What source and result carry.", *VALIDATORS, example=examples.METADATA),
    NOT_MODIFIED,
    errors=ABSENCES,
    parameters=[IF_NONE_MATCH],
)
def metadata(name: str) -> Response:
    """What a picture carries: format, size, mode, profile, EXIF tags, place and resolution, of source and result."""
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
@operation(
    "get_thumbnail",
    "Results",
    Answer(
        HTTPStatus.OK,
        "The thumbnail.",
        "image/webp",
        {"type": "string", "format": "binary"},
        headers=[*VALIDATORS, headers.NOSNIFF],
    ),
    NOT_MODIFIED,
    errors=[*ABSENCES, InvalidParameter],
    parameters=[SIZE, IF_NONE_MATCH],
)
def thumbnail(name: str) -> Response:
    """The result in small: at most `size` pixels a side, never enlarged, as WebP in sRGB."""
    side = _side(request.args.get("size", str(USUAL_SIDE)))
    job, result, file_id = finished(name)
    response = Response(mimetype="image/webp")
    response.set_etag(f"{result.sha256}-{side}")
    if _revalidated(response).status_code == HTTPStatus.OK:
        kept = context().store.particulars.thumbnail(file_id, thumbnails.kept_side(side))
        if kept is None:
            raise absence(job)
        response.data = thumbnails.shrunk(kept, side)
    return response


def _side(value: str) -> int:
    smallest, largest = thumbnails.SMALLEST, thumbnails.LARGEST
    side = whole_number(value)
    if side is not None and smallest <= side <= largest:
        return side
    raise InvalidParameter(f"size={value!r} is not valid: it can be {smallest} to {largest} pixels.", field="size")


def _revalidated(response: Response) -> Response:
    """To be kept by the caller, and asked for anew: the same name may hold another picture one day."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.make_conditional(request.environ)
    return response
