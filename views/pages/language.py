"""Which language a visitor reads: what was chosen and is kept in a cookie, else what the browser asks for."""

from __future__ import annotations

from flask import request

LANGUAGES = {"en": "English", "ru": "Русский", "fr": "Français"}  # each in its own words
DEFAULT = "en"
COOKIE = "language"


def present_language() -> str:
    """The language of the present request."""
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(list(LANGUAGES), DEFAULT)
