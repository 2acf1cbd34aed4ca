"""WebP: rows are gathered and encoded at the end, since the format codes a picture as a whole."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from utils.image_formats import exif
from utils.image_formats.lossy_pixels import to_8_bits
from utils.image_formats.metadata import Metadata
from utils.image_formats.strip_writer import Layout, Pixels, StripWriter

_STRIP_ROWS = 256
_METHOD = 2  # of 0 to 6: half the time of Pillow's default of 4 for 3 % more bytes (docs/pixels.md)


class WebpWriter(StripWriter[NDArray[np.uint8]]):
    """A WebP file, made when the last row is there; until then 8 bits a channel are held.

    Grey is written as RGB: the format has no grey.

    Args:
        stream: written to from where it stands, and not closed.
        layout: of the picture; 16 bits are rounded to 8.
        quality: 1 to 100.
        metadata: ICC, EXIF and XMP; resolution goes into EXIF, its only place here.
    """

    def __init__(self, stream: BinaryIO, layout: Layout, quality: int, metadata: Metadata) -> None:
        super().__init__(layout, _STRIP_ROWS)
        self._stream = stream
        self._quality = quality
        self._metadata = metadata
        self._canvas = np.empty((layout.height, layout.width, layout.channels), np.uint8)
        self._rows_written = 0

    def _encode(self, strip: Pixels) -> NDArray[np.uint8]:
        return to_8_bits(strip)

    def _write(self, part: NDArray[np.uint8]) -> None:
        self._canvas[self._rows_written : self._rows_written + len(part)] = part
        self._rows_written += len(part)

    def _finish(self) -> None:
        layout, metadata = self._layout, self._metadata
        fields = {
            "icc_profile": metadata.icc_profile,
            "exif": exif.build(metadata.exif, layout.width, layout.height, metadata.dpi),
            "xmp": metadata.xmp,
        }
        present = {name: value for name, value in fields.items() if value}
        image = Image.fromarray(self._canvas[..., 0] if layout.channels == 1 else self._canvas)
        image.save(self._stream, "WEBP", quality=self._quality, method=_METHOD, **present)
