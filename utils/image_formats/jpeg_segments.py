"""The container of a JPEG: walking its marker segments without decoding them, and writing segments.

JPEG standard: ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from utils.errors import Undecodable

SIGNATURE = b"\xff\xd8\xff"

SOI, EOI, SOS, DRI, RST0 = 0xD8, 0xD9, 0xDA, 0xDD, 0xD0
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE
PROGRESSIVE_FRAME = 0xC2
READABLE_FRAMES = (0xC0, 0xC1, PROGRESSIVE_FRAME)  # baseline and extended are the others
LARGEST_PAYLOAD = 65533  # bytes: the length field counts itself

_TEM = 0x01  # like SOI, a marker without a segment
# A marker that is neither a stuffed 0xFF byte (00), nor a restart (D0-D7), nor fill (FF).
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_MOST_SEGMENTS = 10_000  # a progressive scan script has some ten, an embedded profile 255 at most
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Segment:
    """A marker segment.

    Args:
        marker: its second byte, such as 0xDA for the start of a scan.
        offset: of the marker, in bytes from the start of the file.
        data: the payload, without its length; empty for the end of the image.
    """

    marker: int
    offset: int
    data: bytes


def walk(stream: BinaryIO) -> Iterator[Segment]:
    """Every segment up to and with the end-of-image marker; what stands behind it is not looked at.

    Coded pixels are skipped, and so are stray bytes between segments, as every decoder does.

    Raises:
        Undecodable: the file ends before the end-of-image marker.
    """
    offset = 2
    for _ in range(_MOST_SEGMENTS):
        marker, offset = _next_marker(stream, offset)
        data = b"" if marker in (SOI, EOI, _TEM) else _read_payload(stream, offset)
        yield Segment(marker, offset - 2, data)
        if marker == EOI:
            return
        if marker not in (SOI, _TEM):
            offset += 2 + len(data)
    raise Undecodable(f"The JPEG has more than {_MOST_SEGMENTS} segments. Save it again with another program.")


def segment_bytes(marker: int, data: bytes) -> bytes:
    """A whole segment, ready to be written."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _next_marker(stream: BinaryIO, offset: int) -> tuple[int, int]:
    """The next marker at or after an offset, and the offset behind it."""
    stream.seek(offset)
    block = b""
    while more := stream.read(_BLOCK):
        block = block[-1:] + more  # a marker may stand across two blocks
        offset += len(more)
        if found := _MARKER.search(block):
            return found[1][0], offset - (len(block) - found.end())
    raise Undecodable("The JPEG is truncated: its end-of-image marker is missing. Send the whole file.")


def _read_payload(stream: BinaryIO, offset: int) -> bytes:
    stream.seek(offset)
    length = int.from_bytes(stream.read(2), "big")
    data = stream.read(length - 2) if length > 2 else b""
    if length < 2 or len(data) < length - 2:
        raise Undecodable("The JPEG is truncated or damaged inside a segment. Send the whole file.")
    return data
