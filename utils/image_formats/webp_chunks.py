"""The container of a WebP: walking the chunks of its RIFF file without decoding them.

WebP container specification: https://developers.google.com/speed/webp/docs/riff_container
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

ICC, EXIF, XMP = b"ICCP", b"EXIF", b"XMP "
_HEADER_BYTES = 12  # RIFF, the file's size, WEBP


def read(stream: BinaryIO, *kinds: bytes) -> dict[bytes, bytes]:
    """The data of the chunks of these kinds, by kind, of a WebP that is whole."""
    return {kind: _data(stream, offset, length) for kind, offset, length in _walk(stream) if kind in kinds}


def _walk(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset of the data and its length in bytes, of every chunk."""
    offset = _HEADER_BYTES
    while len(head := _data(stream, offset, 8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        yield kind, offset + 8, length
        offset += 8 + length + length % 2


def _data(stream: BinaryIO, offset: int, length: int) -> bytes:
    stream.seek(offset)
    return stream.read(length)
