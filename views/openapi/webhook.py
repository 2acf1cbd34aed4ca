"""The callback that a task's end makes, as a webhook of OpenAPI 3.1: a POST signed as Standard Webhooks has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from views.openapi import examples

SIGNING = """
Sent to the `callback_url` of `POST /upscale` when the task has ended, however it did. Signed by
Standard Webhooks (`standardwebhooks.com`) with the secret that the operator has set: look at the signature before
you believe anything. Delivered at least once; a repeated message has the same `webhook-id`.

Answer with any 2xx within ten seconds. Anything else, redirects too, and it is tried again after 5 s, 30 s, 2 min,
10 min, 30 min, 1 h, 2 h, 4 h, 8 h and 8 h; then it is given up.
""".strip()

HEADERS = {
    "webhook-id": ("The same for every try: `task_` and the task's id.", f"task_{examples.TASK_ID}"),
    "webhook-timestamp": ("When this try was made, in seconds since 1970.", "1795212436"),
    "webhook-signature": (
        "`v1,` and HMAC-SHA256 of `webhook-id.webhook-timestamp.body` in Base64.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
    "X-Request-ID": ("The id of the request that the task came with.", "4f1c2b7d9be94c0e8d2f6a5b3c1e7f90"),
}


def task_ended(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The operation that a receiver of callbacks carries out.

    Args:
        schema: of the document that comes.
    """
    return {
        "operationId": "task_ended",
        "tags": ["Callbacks"],
        "summary": "A task has ended.",
        "description": SIGNING,
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": meaning,
                "schema": {"type": "string"},
                "example": example,
            }
            for name, (meaning, example) in HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": dict(schema), "example": dict(examples.CALLBACK)}},
        },
        "responses": {
            "2XX": {"description": "It has arrived."},
            "410": {"description": "Not wanted any more: it is not sent again."},
            "default": {"description": "It is tried again, for a day."},
        },
    }
