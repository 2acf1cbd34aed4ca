"""What a picture says of itself before it is decoded: format, size, mode, frames.

This is the web process's look at an upload. It reads the container's structure from end to end, so a
file that was cut short is refused at once, but no pixel is decoded: a verdict on the pixels is the
worker's (`utils.image_files`). Nothing but the standard library is imported.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO, Literal

from utils.errors import AnimatedImage, Undecodable, UnsupportedFormat
from utils.image_formats import exif, jpeg_segments, png_chunks

ImageFormat = Literal["PNG", "JPEG"]

_EXTENSIONS: dict[str, ImageFormat] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


@dataclass(frozen=True)
class ImageHeader:
    """A picture's header.

    Args:
        format: of the content, whatever the name says.
        width: in pixels, as the picture is meant to be seen, that is after its EXIF orientation.
        height: likewise.
        mode: `1 L LA P RGB RGBA CMYK`, with `;16` for 16 bits a channel.
        frames: always 1; animations raise.
        orientation: the EXIF value, 1 to 8; 1 where there is none.
    """

    format: ImageFormat
    width: int
    height: int
    mode: str
    frames: int = 1
    orientation: int = 1


def extension_matches(filename: str, image_format: ImageFormat) -> bool:
    """Whether a file name's extension (.png .jpg .jpeg, in any case) is one of the content's format."""
    return _EXTENSIONS.get(PurePath(filename).suffix.lower()) == image_format


def read_header(stream: BinaryIO) -> ImageHeader:
    """Read a picture's header and see that the file is whole.

    Args:
        stream: seekable; left at its start. Some kilobytes are held at a time, whatever its size.

    Raises:
        UnsupportedFormat: neither PNG nor JPEG by content.
        AnimatedImage: a PNG of several frames.
        Undecodable: a PNG or JPEG whose structure is broken, or which is cut short.
    """
    stream.seek(0)
    start = stream.read(len(png_chunks.SIGNATURE))
    try:
        if start == png_chunks.SIGNATURE:
            return _read_png(stream)
        if start.startswith(jpeg_segments.SIGNATURE):
            return _read_jpeg(stream)
    finally:
        stream.seek(0)
    raise UnsupportedFormat("The file's content is neither a PNG nor a JPEG. Convert it to one of these.")


# --- PNG ----------------------------------------------------------------------------------------

_LARGEST_PNG_SIDE = 1_000_000  # pixels; libpng, which decodes it, takes no more
_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def _read_png(stream: BinaryIO) -> ImageHeader:
    chunks = png_chunks.walk(stream)
    width, height, mode = _parse_ihdr(stream, next(chunks))
    orientation, has_pixels = 1, False
    for chunk in chunks:
        if chunk.kind == b"acTL":
            raise AnimatedImage("The PNG is animated. Send a single frame.")
        if chunk.kind == b"eXIf":
            orientation = exif.orientation(png_chunks.read(stream, chunk) or b"")
        has_pixels = has_pixels or chunk.kind == b"IDAT"
    if not has_pixels:
        raise Undecodable("The PNG holds no pixels.")
    return _header("PNG", width, height, mode, orientation)


def _parse_ihdr(stream: BinaryIO, chunk: png_chunks.Chunk) -> tuple[int, int, str]:
    data = png_chunks.read(stream, chunk)
    if chunk.kind != b"IHDR" or data is None or len(data) != 13:
        raise Undecodable("The PNG's header is damaged.")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", data)
    if depth not in _PNG_DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise Undecodable("The PNG's header names a kind of picture that does not exist.")
    if max(width, height) > _LARGEST_PNG_SIDE:
        raise Undecodable(f"The PNG is {width} × {height} pixels; {_LARGEST_PNG_SIDE} a side can be decoded.")
    if colour == 0 and depth == 1:
        return width, height, "1"
    return width, height, _PNG_MODES[colour] + (";16" if depth == 16 else "")


# --- JPEG ---------------------------------------------------------------------------------------

_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def _read_jpeg(stream: BinaryIO) -> ImageHeader:
    frame: tuple[int, int, str] | None = None
    exif_block = b""
    for segment in jpeg_segments.walk(stream):
        if segment.marker in _OTHER_FRAMES:
            raise Undecodable(
                "The JPEG is lossless, arithmetic-coded or hierarchical. Save it as baseline or progressive."
            )
        if segment.marker in jpeg_segments.READABLE_FRAMES and frame is None:
            frame = _parse_frame(segment.data)
        if segment.marker == jpeg_segments.APP1 and segment.data.startswith(exif.JPEG_PREFIX):
            exif_block = exif_block or segment.data
    if frame is None:
        raise Undecodable("The JPEG says nothing of its size.")
    return _header("JPEG", *frame, exif.orientation(exif_block))


def _parse_frame(data: bytes) -> tuple[int, int, str]:
    if len(data) < 6:
        raise Undecodable("The JPEG's header is damaged.")
    precision, height, width, components = struct.unpack(">BHHB", data[:6])
    if precision != 8 or components not in _JPEG_MODES:
        raise Undecodable(f"A JPEG of {components} channels of {precision} bits cannot be read.")
    return width, height, _JPEG_MODES[components]


def _header(image_format: ImageFormat, width: int, height: int, mode: str, orientation: int) -> ImageHeader:
    if not (width and height):
        raise Undecodable(f"The {image_format} is {width} × {height} pixels: there is nothing in it.")
    if orientation >= 5:  # a quarter turn
        width, height = height, width
    return ImageHeader(image_format, width, height, mode, orientation=orientation)
