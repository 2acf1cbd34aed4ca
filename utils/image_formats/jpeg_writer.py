"""JPEG, written in strips: OpenCV encodes each alone, restart markers join them into one scan."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from io import BytesIO
from typing import BinaryIO

import cv2

from utils.image_formats import jpeg_segments
from utils.image_formats.jpeg_segments import APP0, DRI, EOI, READABLE_FRAMES, RST0, SOI, SOS, Segment
from utils.image_formats.lossy_pixels import on_white, to_8_bits
from utils.image_formats.strip_writer import Layout, Pixels, StripWriter

# A multiple of the block height at every subsampling, and so few that the restart interval, counted in
# blocks, stays within its 16 bits at any width.
_STRIP_ROWS = 64
_FULL_COLOUR_QUALITY = 90  # from here on colour keeps its full resolution


class JpegWriter(StripWriter[bytes]):
    """A JPEG file that takes its rows as they come.

    Every strip is encoded as a JPEG of its own with the same tables; a decoder that meets a restart
    marker begins anew just as such a file does, so their coded pixels can stand behind one another.

    Args:
        stream: written to from where it stands, and not closed.
        layout: of the picture; 16 bits are rounded to 8, and alpha is laid on white.
        quality: 1 to 100.
        metadata: whole segments, to stand at the start.
    """

    def __init__(self, stream: BinaryIO, layout: Layout, quality: int, metadata: Iterable[bytes] = ()) -> None:
        super().__init__(layout, _STRIP_ROWS)
        self._stream = stream
        self._strips_written = 0
        full_colour = quality >= _FULL_COLOUR_QUALITY
        factor = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_colour else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        self._options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
        block = 8 if full_colour or layout.channels <= 2 else 16
        self._restart_interval = -(-layout.width // block) * (_STRIP_ROWS // block)
        stream.write(bytes((0xFF, SOI)))
        stream.writelines(metadata)

    def _encode(self, strip: Pixels) -> bytes:
        pixels = to_8_bits(strip)
        if self._layout.has_alpha:
            pixels = on_white(pixels)
        in_order = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.shape[2] == 3 else pixels
        done, encoded = cv2.imencode(".jpg", in_order, self._options)
        if not done:
            raise RuntimeError(f"OpenCV could not encode a strip of {strip.shape} as JPEG")
        return encoded.tobytes()

    def _write(self, part: bytes) -> None:
        segments = list(jpeg_segments.walk(BytesIO(part)))
        if self._strips_written == 0:
            self._write_tables(segments)
        else:
            self._stream.write(bytes((0xFF, RST0 + (self._strips_written - 1) % 8)))
        scan, end = segments[-2], segments[-1]
        self._stream.write(part[scan.offset + 4 + len(scan.data) : end.offset])
        self._strips_written += 1

    def _write_tables(self, segments: list[Segment]) -> None:
        for segment in segments[:-1]:
            data = segment.data
            if segment.marker in READABLE_FRAMES:  # its height is the strip's
                data = data[:1] + struct.pack(">H", self._layout.height) + data[3:]
            if segment.marker == SOS:
                self._stream.write(jpeg_segments.segment_bytes(DRI, struct.pack(">H", self._restart_interval)))
            if segment.marker != APP0:
                self._stream.write(jpeg_segments.segment_bytes(segment.marker, data))

    def _finish(self) -> None:
        self._stream.write(bytes((0xFF, EOI)))
