"""PNG, written in strips: filtered and deflated side by side, joined into one stream."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from utils.image_formats import png_chunks
from utils.image_formats.strip_writer import Layout, Pixels, StripWriter

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> PNG colour type
_SUB, _AVERAGE = 1, 3  # PNG filter types
_LEVEL = 1  # of isal's 0 to 3; measured in docs/pixels.md
_STRIP_BYTES = 1 << 18  # stays in a core's cache, and is far longer than deflate's 32 KB of memory
_ZLIB_HEADER = b"\x78\x01"
_LAST_BLOCK = b"\x03\x00"  # an empty one
_ADLER_BASE = 65521


@dataclass(frozen=True)
class _DeflatedStrip:
    """Whole deflate blocks, with what the stream's checksum needs to know of them."""

    data: bytes
    plain_length: int
    adler: int


class PngWriter(StripWriter[_DeflatedStrip]):
    """A PNG file that takes its rows as they come.

    Every row gets the average filter, which on enlarged photographs does better than any other single
    one, and needs no trial of all five; isal's deflate is five times as fast as zlib's.

    Args:
        stream: written to from where it stands, and not closed.
        layout: of the picture.
        metadata: whole chunks, to stand before the pixels.
    """

    def __init__(self, stream: BinaryIO, layout: Layout, metadata: Iterable[bytes] = ()) -> None:
        self._bytes_per_pixel = layout.channels * layout.bits // 8
        super().__init__(layout, max(1, _STRIP_BYTES // (layout.width * self._bytes_per_pixel)))
        self._stream = stream
        self._adler = 1
        header = struct.pack(
            ">IIBBBBB", layout.width, layout.height, layout.bits, _COLOUR_TYPES[layout.channels], 0, 0, 0
        )
        stream.write(png_chunks.SIGNATURE + png_chunks.chunk_bytes(b"IHDR", header))
        stream.writelines(metadata)
        self._write_idat(_ZLIB_HEADER)

    def _encode(self, strip: Pixels) -> _DeflatedStrip:
        # One strip knows nothing of the others, so its blocks end on a byte and refer to none before.
        plain = _filter(_big_endian_bytes(strip), self._bytes_per_pixel)
        deflate = isal_zlib.compressobj(_LEVEL, wbits=-15)
        data = deflate.compress(plain) + deflate.flush(isal_zlib.Z_SYNC_FLUSH)
        return _DeflatedStrip(data, plain.size, isal_zlib.adler32(plain))

    def _write(self, part: _DeflatedStrip) -> None:
        self._adler = _combine_adler(self._adler, part.adler, part.plain_length)
        self._write_idat(part.data)

    def _finish(self) -> None:
        self._write_idat(_LAST_BLOCK + struct.pack(">I", self._adler))
        self._stream.write(png_chunks.chunk_bytes(b"IEND", b""))

    def _write_idat(self, data: bytes) -> None:
        self._stream.write(png_chunks.chunk_bytes(b"IDAT", data))


def _big_endian_bytes(strip: Pixels) -> NDArray[np.uint8]:
    """(n, W, C) pixels as rows of bytes in the file's order: (n, bytes a row)."""
    ordered = strip if strip.dtype == np.uint8 else strip.byteswap() if np.little_endian else strip
    return ordered.reshape(len(strip), -1).view(np.uint8)


def _filter(rows: NDArray[np.uint8], bytes_per_pixel: int) -> NDArray[np.uint8]:
    """PNG's average filter: each byte less the mean of its left and its upper neighbour.

    The first row gets the sub filter, which looks to the left alone.

    Args:
        rows: (n, m).

    Returns:
        (n, 1 + m), each row led by its filter's number.
    """
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _AVERAGE
    filtered[0, 0] = _SUB
    left = np.zeros_like(rows)
    left[:, bytes_per_pixel:] = rows[:, :-bytes_per_pixel]
    np.subtract(rows[0], left[0], out=filtered[0, 1:])
    up, left = rows[:-1], left[1:]
    mean = (up & left) + ((up ^ left) >> 1)  # without a ninth bit
    np.subtract(rows[1:], mean, out=filtered[1:, 1:])
    return filtered


def _combine_adler(first: int, second: int, second_length: int) -> int:
    """The Adler-32 of two pieces put together, from that of each (RFC 1950; zlib's adler32_combine)."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + second_length * ((first & 0xFFFF) - 1)
    return (high % _ADLER_BASE) << 16 | low % _ADLER_BASE
