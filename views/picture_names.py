"""Which file names a picture may have here."""

from __future__ import annotations

import unicodedata

from utils.errors import InvalidName

MOST_BYTES = 255  # what file systems take, so that every result can be saved under its own name
PUNCTUATION = frozenset(" ._-+,;=@#&%!~'()[]{}$^")
WORD_CATEGORIES = ("L", "M", "N")  # Unicode's letters, marks and numbers, of every script


def canonical(name: str) -> str:
    """`name` in Unicode's composed form, so that one name typed on two systems is one name."""
    return unicodedata.normalize("NFC", name)


def picture_name(filename: str) -> str:
    """The canonical name of an uploaded file.

    Raises:
        InvalidName: it is too long, or has a character that does not belong into a file's name.
    """
    name = canonical(filename)
    if len(name.encode("utf-8", errors="replace")) > MOST_BYTES:
        raise InvalidName(
            f"The file name has {len(name)} characters; in UTF-8 it may have {MOST_BYTES} bytes. Shorten it.",
            field="image",
        )
    for character in name:
        if not (character in PUNCTUATION or unicodedata.category(character)[0] in WORD_CATEGORIES):
            raise InvalidName(
                f"The file name has {_described(character)} in it. Letters and digits of every script, spaces "
                "and . _ - + , ; = @ # & % ! ~ ' ( ) [ ] { } $ ^ are possible: rename the file.",
                field="image",
            )
    if name.strip(" .") == "":
        raise InvalidName("The file name says nothing. Give the file a name such as photo.jpg.", field="image")
    return name


def _described(character: str) -> str:
    shown = repr(character)
    return f"the character {shown} (U+{ord(character):04X} {unicodedata.name(character, 'without a name')})"
