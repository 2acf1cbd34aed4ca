"""What the document says beside its operations: the introduction, the groups, and the parts of the paths."""

from __future__ import annotations

from typing import Any

from views.openapi import examples

INTRODUCTION = """
Makes pictures two to eight times larger with a Real-ESRGAN network. Send a PNG or JPEG to `POST /upscale`, follow the
task at `GET /tasks/{task_id}` or let it call you, and fetch the picture at `GET /processed/{name}`.

Every error is `application/problem+json` (RFC 9457) with a stable `code`, explained at `/docs/errors`; a browser
(`Accept: text/html`) gets a page instead. Any address that is not listed here answers 404 `route_not_found`, any other
method 405 `method_not_allowed` with `Allow`. HEAD is possible wherever GET is. Every answer has an `X-Request-ID`, and
with a limit of requests `RateLimit` and `RateLimit-Policy`. Times are in UTC.
""".strip()

TAGS = {
    "Upload": "A picture comes in.",
    "Tasks": "How it goes on.",
    "Results": "The finished pictures, by their names.",
    "Batches": "Several pictures of one request.",
    "Callbacks": "The service calls you.",
    "Service": "What there is, and whether it works.",
}

_UUID = {"type": "string", "format": "uuid"}

PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "task_id": {
        "in": "path",
        "required": True,
        "description": "The task's id, from `POST /upscale`.",
        "schema": _UUID,
        "example": examples.TASK_ID,
    },
    "batch_id": {
        "in": "path",
        "required": True,
        "description": "The batch's id, from `POST /upscale` with several pictures.",
        "schema": _UUID,
        "example": examples.BATCH_ID,
    },
    "name": {
        "in": "path",
        "required": True,
        "description": "The picture's name, as its task tells it.",
        "schema": {"type": "string", "pattern": r"^[^/]+\.([pP][nN][gG]|[jJ][pP][eE]?[gG])$", "maxLength": 255},
        "example": "photo.jpg",
    },
}
