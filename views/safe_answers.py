"""Headers that keep a browser from taking an answer for more than it is.

What strangers uploaded is served again: a picture whose bytes are a page or a script as well is still nothing but a
picture, and an answer that is opened by itself may load nothing, run nothing, and is of no origin. The pages for people
allow themselves what they need (`views.pages`).
"""

from __future__ import annotations

from flask import Flask, Response

POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


def register(app: Flask) -> None:
    """Give every answer of `app` that has no policy of its own the strictest one."""

    @app.after_request
    def _restrict(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"  # the type is what it says
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        return response
