"""The texts of the pages: the same keys and values in every language, none missing, none left over."""

from __future__ import annotations

import re
from string import Formatter

import pytest
from babel import Locale

from mongo.jobs import Status
from views.error_page import EXPLAINED
from views.pages.formats import Formats
from views.pages.language import LANGUAGES
from views.pages.texts import FOLDER, PLURALS, texts_of

VIEWS = FOLDER.parent
OTHERS = [language for language in LANGUAGES if language != "en"]

# Keys that are put together where they are used: the part before a name that varies.
PUT_TOGETHER = ("error.", "kept.", "mode.", "model.", "status.", "units.")


def values_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def used_keys() -> set[str]:
    """The keys that templates, pages and scripts name."""
    sources = [*VIEWS.glob("templates/*.html"), *VIEWS.glob("pages/*.py"), *VIEWS.glob("*.py")]
    named = {key for path in sources for key in re.findall(r"""["']([a-z_]+\.[a-z_0-9]+)["']""", path.read_text())}
    scripts = [path.read_text() for path in VIEWS.glob("static/js/*.js")]
    files = {key for key in named if key.endswith((".html", ".js", ".css"))}
    return (named - files) | {f"script.{key}" for text in scripts for key in re.findall(r'\bt\("([a-z_]+)"', text)}


def test_there_is_a_file_for_each_language() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(LANGUAGES)


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_the_same_keys(language: str) -> None:
    assert texts_of(language).all.keys() == texts_of("en").all.keys()


@pytest.mark.parametrize("language", OTHERS)
def test_every_translation_has_the_same_values(language: str) -> None:
    for key, text in texts_of("en").all.items():
        english = text if isinstance(text, str) else text["other"]
        other = texts_of(language).all[key]
        translation = other if isinstance(other, str) else other["other"]
        assert values_in(translation) == values_in(english), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_plurals_have_each_form_that_the_language_has(language: str) -> None:
    forms = {Locale(language).plural_form(count) for count in range(200)} | {"other"}
    for key, text in texts_of(language).all.items():
        if not isinstance(text, str):
            assert forms <= text.keys() <= PLURALS, key


def test_no_text_is_missing_and_none_left_over() -> None:
    known, used = texts_of("en").all.keys(), used_keys()
    sections = {key.partition(".")[0] for key in known}
    assert {key for key in used if key.partition(".")[0] in sections} - known == set()
    assert {key for key in known - used if not key.startswith(PUT_TOGETHER)} == set()


def test_every_status_and_every_explained_error_has_its_text() -> None:
    texts = texts_of("en").all
    for status in (*Status, "expired"):
        assert f"status.{status.lower()}" in texts
    for kind in (*EXPLAINED, "other"):
        assert {f"error.{kind}.title", f"error.{kind}.what"} <= texts.keys()


def test_numbers_are_written_as_the_language_does() -> None:
    assert Formats("en").bytes(1_234_567) == "1.2 MiB"
    assert Formats("ru").bytes(1_234_567) == "1,2 МиБ"
    assert Formats("fr").duration(3 * 86_400) == "3 jours"
    assert Formats("ru").duration(5 * 3600) == "5 часов"
    assert Formats("en").percent(0.999) == "99 %"
