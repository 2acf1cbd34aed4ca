"""The formats a result can have, and how large a picture each can hold.

The web process asks here before it queues a job, so nothing heavy is imported.
"""

from __future__ import annotations

from typing import Literal

from utils.errors import OutputTooLarge

OutputFormat = Literal["png", "jpeg", "webp"]

DEFAULT_QUALITY = 95

# In pixels. PNG's is libpng's, without which hardly a program opens one; the format's own is 2**31 - 1.
_LARGEST_SIDE: dict[OutputFormat, int] = {"png": 1_000_000, "jpeg": 65535, "webp": 16383}


def check_fits(width: int, height: int, image_format: OutputFormat) -> None:
    """Raise OutputTooLarge where a format cannot hold that many pixels a side."""
    limit = _LARGEST_SIDE[image_format]
    if max(width, height) > limit:
        advice = "Ask for a smaller scale." if image_format == "png" else "Ask for format=png or a smaller scale."
        raise OutputTooLarge(
            f"A {image_format} can be {limit} pixels wide or high, and this one would be {width} × {height}. {advice}"
        )
