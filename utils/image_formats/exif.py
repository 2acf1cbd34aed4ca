"""EXIF: which tags are kept of a picture, and the block built anew from them.

An EXIF block is a small TIFF file (CIPA DC-008, section 4.6): directories of fields, each a tag, a type
and values. Fields keep their types, bytes and byte order, so that a name in any script survives;
Pillow's own writer turns all but ASCII into question marks.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

JPEG_PREFIX = b"Exif\x00\x00"

ByteOrder = Literal["<", ">"]

_SHORT, _LONG, _RATIONAL = 3, 4, 5
# Bytes a value, by TIFF type: byte, ASCII, short, long, rational, their signed kin, float, double; UTF-8.
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}

_ORIENTATION = 0x0112
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_EXIF_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003

# What speaks of the scene, the camera or the author; the rest of the main directory describes how the
# old file was laid out.
_MAIN_TAGS = frozenset(
    {
        0x010E,  # ImageDescription
        0x010F,  # Make
        0x0110,  # Model
        _X_RESOLUTION,
        _Y_RESOLUTION,
        _RESOLUTION_UNIT,
        0x0131,  # Software
        0x0132,  # DateTime
        0x013B,  # Artist
        0x013C,  # HostComputer
        0x4746,  # Rating
        0x4749,  # RatingPercent
        0x8298,  # Copyright
        *range(0x9C9B, 0x9CA0),  # XPTitle XPComment XPAuthor XPKeywords XPSubject
    }
)
_MAKER_NOTE, _INTEROP_DIRECTORY = 0x927C, 0xA005
# The standard's numbers from ExposureTime to Gamma, less the private note, which may hold anything and
# breaks when moved, a pointer, and the old size.
_DETAIL_TAGS = frozenset(range(0x829A, 0xA501)) - {_MAKER_NOTE, _INTEROP_DIRECTORY, _PIXEL_X, _PIXEL_Y}
_GPS_TAGS = frozenset(range(32))
_POINTERS = (_EXIF_DIRECTORY, _GPS_DIRECTORY, _INTEROP_DIRECTORY)

_LARGEST_FIELD = 16 << 10  # bytes
# What a badly set up server might run if it took the picture for a script. Numbers may look like the
# shorter forms by chance, so these count in text alone.
_CODE = re.compile(rb"<\?php|<\?=|<script", re.IGNORECASE)
_CODE_IN_TEXT = re.compile(rb"<[?%]")
_TEXT_TYPES = (1, 2, 7, 129)  # bytes and undefined hold text too


@dataclass(frozen=True)
class Field:
    """The value of one tag: `count` values of a TIFF type, as they stand in the file."""

    type: int
    count: int
    data: bytes


Directory = Mapping[int, Field]


@dataclass(frozen=True)
class Exif:
    """The tags of a picture, by directory.

    `main`, `details` and `gps` are kept, that is written again by `build`; `left_behind` can only be told.
    """

    main: Directory = field(default_factory=dict)
    details: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    byte_order: ByteOrder = ">"
    left_behind: Directory = field(default_factory=dict)

    def without_gps(self) -> Exif:
        """The same without the place it was taken at."""
        return replace(self, gps={})

    def resolution(self) -> tuple[float, float] | None:
        """Pixels per inch across and down, where both are given."""
        across, down = (self._rational(tag) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
        unit = self.main.get(_RESOLUTION_UNIT)
        per_inch = 2.54 if unit and unit.data == struct.pack(self.byte_order + "H", 3) else 1.0
        return (across * per_inch, down * per_inch) if across and down else None

    def _rational(self, tag: int) -> float | None:
        value = self.main.get(tag)
        if value is None or value.type != _RATIONAL or value.count != 1:
            return None
        numerator, denominator = struct.unpack(self.byte_order + "II", value.data)
        return numerator / denominator if denominator else None


def parse(block: bytes) -> Exif:
    """The tags of an EXIF block, the known and harmless ones to be kept; what is broken in it is left out."""
    tiff = block.removeprefix(JPEG_PREFIX)
    order = _byte_order(tiff)
    if order is None:
        return Exif()
    main = _read_directory(tiff, order, _first_directory(tiff, order))
    details = _read_directory(tiff, order, _number(main.get(_EXIF_DIRECTORY), order))
    gps = _read_directory(tiff, order, _number(main.get(_GPS_DIRECTORY), order))
    kept_main, kept_details = _keep(main, _MAIN_TAGS), _keep(details, _DETAIL_TAGS)
    others = {tag: value for tag, value in (main | details).items() if tag not in (*kept_main, *kept_details)}
    return Exif(
        main=kept_main,
        details=kept_details,
        gps=_keep(gps, _GPS_TAGS),
        byte_order=order,
        left_behind={tag: value for tag, value in others.items() if tag not in _POINTERS},
    )


def orientation(block: bytes) -> int:
    """The orientation in an EXIF block, 1 to 8; 1 (upright) where it is absent or makes no sense."""
    tiff = block.removeprefix(JPEG_PREFIX)
    order = _byte_order(tiff)
    if order is None:
        return 1
    value = _number(_read_directory(tiff, order, _first_directory(tiff, order)).get(_ORIENTATION), order)
    return value if value in range(1, 9) else 1


def build(exif: Exif, width: int, height: int, dpi: tuple[float, float] | None = None) -> bytes | None:
    """The EXIF block (without JPEG's prefix) of an upright picture of that size in pixels.

    Args:
        dpi: written where the tags give no resolution, for formats that have no other place for it.

    Returns:
        None where there is nothing to say.
    """
    order = exif.byte_order
    main = _resolution_fields(dpi, order) | dict(exif.main)
    if not (main or exif.details or exif.gps):
        return None
    main[_ORIENTATION] = Field(_SHORT, 1, struct.pack(order + "H", 1))
    details = dict(exif.details)
    details[_PIXEL_X] = Field(_LONG, 1, struct.pack(order + "I", width))
    details[_PIXEL_Y] = Field(_LONG, 1, struct.pack(order + "I", height))

    pointers = {_EXIF_DIRECTORY: details} | ({_GPS_DIRECTORY: exif.gps} if exif.gps else {})
    main |= dict.fromkeys(pointers, Field(_LONG, 1, bytes(4)))
    offset = 8 + len(_directory_bytes(main, order, 8))
    tail = b""
    for tag, directory in pointers.items():
        main[tag] = Field(_LONG, 1, struct.pack(order + "I", offset + len(tail)))
        tail += _directory_bytes(directory, order, offset + len(tail))
    magic = b"II" if order == "<" else b"MM"
    return magic + struct.pack(order + "HI", 42, 8) + _directory_bytes(main, order, 8) + tail


# --- Reading ------------------------------------------------------------------------------------


def _byte_order(tiff: bytes) -> ByteOrder | None:
    if tiff.startswith(b"II*\0"):
        return "<"
    return ">" if tiff.startswith(b"MM\0*") else None


def _first_directory(tiff: bytes, order: ByteOrder) -> int:
    return int(struct.unpack(order + "I", tiff[4:8])[0]) if len(tiff) >= 8 else 0


def _read_directory(tiff: bytes, order: ByteOrder, offset: int) -> dict[int, Field]:
    """The fields of the directory at an offset, less those that point outside the block."""
    if not 8 <= offset <= len(tiff) - 2:
        return {}
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    entries = tiff[offset + 2 : offset + 2 + 12 * count]
    fields = {}
    for tag, kind, values, inline in struct.iter_unpack(order + "HHI4s", entries[: len(entries) // 12 * 12]):
        size = _TYPE_SIZES.get(kind, 0) * values
        if not 0 < size <= _LARGEST_FIELD:
            continue
        start = struct.unpack(order + "I", inline)[0]
        data = inline[:size] if size <= 4 else tiff[start : start + size]
        if len(data) == size:
            fields[tag] = Field(kind, values, data)
    return fields


def _number(value: Field | None, order: ByteOrder) -> int:
    """A single short or long; 0 where it is anything else."""
    if value is None or value.count != 1 or value.type not in (_SHORT, _LONG):
        return 0
    return int(struct.unpack(order + ("H" if value.type == _SHORT else "I"), value.data)[0])


def _keep(directory: Directory, tags: frozenset[int]) -> dict[int, Field]:
    return {tag: value for tag, value in directory.items() if tag in tags and not _holds_code(value)}


def _holds_code(value: Field) -> bool:
    data = value.data.replace(b"\0", b"")  # UTF-16 holds the same letters between zeros
    return bool(_CODE.search(data) or (value.type in _TEXT_TYPES and _CODE_IN_TEXT.search(data)))


# --- Writing ------------------------------------------------------------------------------------


def _resolution_fields(dpi: tuple[float, float] | None, order: ByteOrder) -> dict[int, Field]:
    if dpi is None:
        return {}
    across, down = (Field(_RATIONAL, 1, struct.pack(order + "II", round(value * 1000), 1000)) for value in dpi)
    inch = Field(_SHORT, 1, struct.pack(order + "H", 2))
    return {_X_RESOLUTION: across, _Y_RESOLUTION: down, _RESOLUTION_UNIT: inch}


def _directory_bytes(directory: Directory, order: ByteOrder, offset: int) -> bytes:
    """A directory that will stand at an offset, with the values that do not fit into it behind it."""
    entries, values = b"", b""
    values_offset = offset + 2 + 12 * len(directory) + 4
    for tag, value in sorted(directory.items()):
        if len(value.data) <= 4:
            place = value.data.ljust(4, b"\0")
        else:
            place = struct.pack(order + "I", values_offset + len(values))
            values += value.data + b"\0" * (len(value.data) % 2)  # values begin on even offsets
        entries += struct.pack(order + "HHI", tag, value.type, value.count) + place
    return struct.pack(order + "H", len(directory)) + entries + bytes(4) + values
