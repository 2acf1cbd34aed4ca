"""Writing a PNG row by row, fast, while later rows are still being computed."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from types import TracebackType
from typing import BinaryIO

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from utils import png_chunks

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> PNG colour type
_FILTER_AVERAGE = 3
_LEVEL = 1  # of isal's 0 to 3; see the table in docs/pixels.md
_STRIP_BYTES = 1 << 20  # filtered at a time: small enough to stay in the processor's cache


class PngWriter:
    """A PNG file that takes its rows in order, any number at a time.

    Every row gets the average filter, which on photographs is within a few per cent of choosing the best
    of five filters for each row and costs a tenth, and isal's deflate, five times as fast as zlib's.

    Args:
        stream: written to from where it stands; not closed.
        width: pixels.
        height: pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
        bits: 8 or 16 a channel.
        metadata: whole chunks to stand before the pixels.
    """

    def __init__(
        self,
        stream: BinaryIO,
        width: int,
        height: int,
        channels: int,
        bits: int = 8,
        metadata: Iterable[bytes] = (),
    ) -> None:
        self._stream = stream
        self._shape = (width, channels)
        self._height = height
        self._bytes_per_pixel = channels * bits // 8
        self._rows_written = 0
        self._above = np.zeros((1, width * self._bytes_per_pixel), np.uint8)
        self._deflate = isal_zlib.compressobj(_LEVEL)
        header = struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
        stream.write(png_chunks.SIGNATURE + png_chunks.chunk_bytes(b"IHDR", header) + b"".join(metadata))

    def __enter__(self) -> PngWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def write_rows(self, rows: Pixels) -> None:
        """Write the next rows: (n, width), or (n, width, channels), of the depth announced."""
        data = _big_endian_bytes(rows)
        step = max(1, _STRIP_BYTES // data.shape[1])
        for top in range(0, len(data), step):
            strip = data[top : top + step]
            self._write_idat(
                self._deflate.compress(_filter_average(strip, self._above, self._bytes_per_pixel))
            )
            self._above = strip[-1:]
        self._above = self._above.copy()  # the caller's array need not outlive this call
        self._rows_written += len(data)

    def close(self) -> None:
        """Finish the file.

        Raises:
            ValueError: not as many rows were written as announced.
        """
        if self._rows_written != self._height:
            raise ValueError(f"{self._rows_written} of {self._height} rows were written")
        self._write_idat(self._deflate.flush())
        self._stream.write(png_chunks.chunk_bytes(b"IEND", b""))

    def _write_idat(self, data: bytes) -> None:
        if data:
            self._stream.write(png_chunks.chunk_bytes(b"IDAT", data))


def _big_endian_bytes(rows: Pixels) -> NDArray[np.uint8]:
    """Rows of pixels as rows of bytes in the file's order: (n, width × bytes per pixel)."""
    contiguous = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder(">"))
    return contiguous.reshape(len(rows), -1).view(np.uint8)


def _filter_average(
    rows: NDArray[np.uint8], above: NDArray[np.uint8], bytes_per_pixel: int
) -> NDArray[np.uint8]:
    """PNG filter 3: each byte less the mean of the one to its left and the one above it.

    Args:
        rows: (n, m).
        above: (1, m), the row before the first.

    Returns:
        (n, 1 + m), each row led by its filter's number.
    """
    up = np.concatenate([above, rows[:-1]])
    left = np.zeros_like(rows)
    left[:, bytes_per_pixel:] = rows[:, :-bytes_per_pixel]
    mean = (up & left) + ((up ^ left) >> 1)  # without a ninth bit
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _FILTER_AVERAGE
    np.subtract(rows, mean, out=filtered[:, 1:])
    return filtered
