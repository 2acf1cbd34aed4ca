"""Whole numbers in parameters and headers: of ASCII digits, and of few enough that reading them takes no time."""

from __future__ import annotations

MOST_DIGITS = 9


def whole_number(text: str) -> int | None:
    """The number that `text` is, or None. `int` would take other scripts' digits, signs and spaces too."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
