"""The texts of the pages: one TOML file a language in `views/locales/`, with the same keys in each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from babel import Locale

FOLDER = Path(__file__).resolve().parent.parent / "locales"
PLURALS = frozenset({"zero", "one", "two", "few", "many", "other"})  # Unicode CLDR's categories

Text = str | Mapping[str, str]
"""A text with `{places}` for values, or one for each plural form of the value `count`."""


class Texts:
    """The texts of one language, by keys such as `start.title`."""

    def __init__(self, language: str, texts: Mapping[str, Text]) -> None:
        self.language = language
        self.all = texts
        self._plural_form = Locale(language).plural_form

    def __call__(self, key: str, **values: Any) -> str:
        """The text with its values put in. A key that is not there is a mistake in the code: KeyError."""
        text = self.all[key]
        if not isinstance(text, str):
            text = text[self._plural_form(values["count"])]
        return text.format(**values) if values else text

    def get(self, key: str, default: str) -> str:
        """The text, or `default` for what only some have, such as the models that an operator added."""
        return self(key) if key in self.all else default

    def section(self, name: str) -> dict[str, Text]:
        """All texts of one section, by the rest of their keys: for the scripts."""
        start = f"{name}."
        return {key.removeprefix(start): text for key, text in self.all.items() if key.startswith(start)}


@cache
def texts_of(language: str) -> Texts:
    return Texts(language, _flat(tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))))


def _flat(table: Mapping[str, Any], start: str = "") -> dict[str, Text]:
    """{"a": {"b": text}} -> {"a.b": text}; tables of plural forms stay whole."""
    flat: dict[str, Text] = {}
    for key, value in table.items():
        if isinstance(value, dict) and not value.keys() <= PLURALS:
            flat |= _flat(value, f"{start}{key}.")
        else:
            flat[f"{start}{key}"] = value
    return flat
