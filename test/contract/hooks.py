"""What a schema cannot say of a valid request, for schemathesis: see schemathesis.toml."""

from __future__ import annotations

import base64
import io
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image
from requests import Response
from schemathesis.openapi.checks import UseAfterFree
from schemathesis.transport.requests import REQUESTS_TRANSPORT, multipart_serializer
from schemathesis.transport.serialization import Binary


def picture(size: tuple[int, int], image_format: str) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(file, image_format)
    return file.getvalue()


def cursor(moment: Any) -> str:
    place = f"{moment.isoformat()}+00:00 {uuid.UUID(int=0)}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


# As texts, one character a byte: bytes cannot be held against a schema. See `send_pictures`.
SIZES = {
    picture(size, kind).decode("latin-1"): size for size in ((1, 1), (40, 64), (300, 200)) for kind in ("PNG", "JPEG")
}

schemathesis.openapi.format("binary", st.sampled_from(sorted(SIZES)))
schemathesis.openapi.format("cursor", st.datetimes().map(cursor))
# A name that nobody can have (RFC 6761): nothing is sent to strangers.
schemathesis.openapi.format("uri", st.sampled_from(["https://callbacks.invalid/", "http://callbacks.invalid/a?b=c"]))


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Ask only for models that are there: the others would be downloaded."""
    form = raw_schema["paths"]["/upscale"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    form["properties"]["model"]["enum"] = ["fast", "faithful", ""]


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    if case.path == "/ws/notifications":
        kwargs["hooks"] = {"response": leave}
    if case.path == "/upscale" and case.meta.generation.mode.is_positive:
        use_key_once(case.headers)
        if isinstance(case.body, dict):
            fit(case.body)


def use_key_once(headers: dict[str, str]) -> None:
    """A key that was used for another request is an error, and these requests are all different."""
    if key := headers.get("Idempotency-Key"):
        headers["Idempotency-Key"] = f"{key[:200]}{uuid.uuid4()}"


def fit(form: dict[str, Any]) -> None:
    """Take the asked-for size for what it is over the picture's: one to eight times as much is possible."""
    for field, side in (("width", 0), ("height", 1)):
        if isinstance(form.get(field), int | float):
            smallest = max(SIZES[each][side] for each in form["image"])
            largest = 8 * min(SIZES[each][side] for each in form["image"])
            form[field] = smallest + int(form[field]) % (largest - smallest + 1) if largest >= smallest else ""


@REQUESTS_TRANSPORT.serializer("multipart/form-data")
def send_pictures(context: Any, form: Any) -> Any:
    """Turn the texts that stand for pictures into bytes."""
    if isinstance(form, dict) and isinstance(form.get("image"), list):
        form = form | {"image": [Binary(each.encode("latin-1")) if each in SIZES else each for each in form["image"]]}
    return multipart_serializer(context, form)


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """DELETE on a task cancels it, and who watches it is to see that: it can still be asked for."""
    is_cancelled_task = case.path.startswith("/tasks/{task_id}")
    return not (isinstance(failure, UseAfterFree) and is_cancelled_task and b"REVOKED" in response.content)


def leave(response: Response, **_: Any) -> None:
    """Close the connection, which belongs to a WebSocket now: else the next request would be sent over it."""
    if response.status_code == 101:
        response.raw.close()
