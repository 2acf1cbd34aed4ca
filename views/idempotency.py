"""The header Idempotency-Key: a request that is sent again gets the answer of the first time."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import Response, request

from mongo.idempotency import StoredAnswer
from utils.errors import InvalidParameter
from views.context import context, owner
from views.openapi.operations import Parameter

KEPT_HEADERS = ("Content-Type", "Location", "Retry-After")
LONGEST_KEY = 255  # characters
KEY = re.compile("[!-~]( *[!-~])*")  # ASCII that can be seen, with spaces between

IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "Of your choice: the same request sent again with the same key is carried out once, and answered as it was then. "
    "Kept for 24 hours.",
    {"type": "string", "pattern": f"^{KEY.pattern}$", "maxLength": LONGEST_KEY},
    "8e03978e-40d5-43dd-bc93-6894a57f9324",
)


def answered_once(content: str, act: Callable[[], Response]) -> Response:
    """The response of `act`, or the one that it gave when the same key came first.

    Without the header, `act` simply runs. What `act` raises is not kept: the same request may be tried again.

    Args:
        content: a digest of everything that the request asks for.

    Raises:
        InvalidParameter: an unusable key.
        KeyReused, KeyInFlight: see `IdempotencyStore.begin`.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return act()
    if len(key) > LONGEST_KEY or not KEY.fullmatch(key):
        raise InvalidParameter(
            f"An Idempotency-Key has 1 to {LONGEST_KEY} printable characters of ASCII; a UUID is a good one.",
            field="Idempotency-Key",
        )
    keys = context().store.idempotency_keys
    if first := keys.begin(owner(), key, content):
        return Response(first.body, first.status, {**first.headers, "Idempotency-Replayed": "true"})
    try:
        response = act()
        keys.finish(owner(), key, _to_keep(response))
    except BaseException:
        keys.abandon(owner(), key)
        raise
    return response


def _to_keep(response: Response) -> StoredAnswer:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return StoredAnswer(response.status_code, headers, response.get_data())
