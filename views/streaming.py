"""Stored bytes as the body of an answer, block by block."""

from __future__ import annotations

from itertools import chain
from typing import Any

from flask import Response
from werkzeug.wsgi import ClosingIterator

from mongo.client import translated

BLOCK_BYTES = 256 * 1024


def begun(response: Response) -> Response:
    """The response with its first block read: that MongoDB has gone cannot be told once the headers are sent.

    Raises:
        StoreUnavailable: it has.
    """
    blocks: Any = response.response
    first = translated(next)(blocks, b"")
    response.response = ClosingIterator(chain([first], blocks), blocks.close)
    return response
