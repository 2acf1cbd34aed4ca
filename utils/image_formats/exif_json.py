"""EXIF tags as JSON: names of the standard, texts, numbers, and bytes in base64.

A text is a string and a number a number; several numbers are a list; a rational is its quotient, or null where
its denominator is 0. Bytes and `undefined` data, which the standard leaves to their writers, are
`{"base64": "…"}`, whatever they hold. A tag without a name is called by its number, such as `0xC4A5`.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator
from typing import Any

from PIL import ExifTags

from utils.image_formats.exif import ByteOrder, Directory, Exif, Field

_ASCII, _UTF8 = 2, 129
_NUMBER_CODES = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d"}  # of the module struct, by TIFF type
_RATIONAL_CODES = {5: "I", 10: "i"}


def tags(exif: Exif, *, with_gps: bool) -> dict[str, Any]:
    """Every tag by its name, those that are kept of a picture and those that are left behind."""
    directories = [(exif.main, ExifTags.TAGS), (exif.details, ExifTags.TAGS), (exif.left_behind, ExifTags.TAGS)]
    if with_gps:
        directories.append((exif.gps, ExifTags.GPSTAGS))
    return {name: value for directory, names in directories for name, value in _told(directory, names, exif.byte_order)}


def _told(directory: Directory, names: dict[int, str], order: ByteOrder) -> Iterator[tuple[str, Any]]:
    for tag, field in directory.items():
        yield names.get(tag, f"0x{tag:04X}"), _value(field, order)


def _value(field: Field, order: ByteOrder) -> Any:
    if field.type in (_ASCII, _UTF8):
        return field.data.partition(b"\0")[0].decode("utf-8", "replace")
    if field.type in _NUMBER_CODES:
        numbers = struct.unpack(f"{order}{field.count}{_NUMBER_CODES[field.type]}", field.data)
        return _one_or_list([number if math.isfinite(number) else None for number in numbers])
    if field.type in _RATIONAL_CODES:
        parts = struct.unpack(f"{order}{2 * field.count}{_RATIONAL_CODES[field.type]}", field.data)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return _one_or_list([above / below if below else None for above, below in pairs])
    return {"base64": base64.b64encode(field.data).decode()}


def _one_or_list(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
