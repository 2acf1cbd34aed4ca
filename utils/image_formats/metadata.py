"""What a picture carries beside its pixels: read from PNG, JPEG and WebP, and written to PNG and JPEG.

Nothing is copied as it came, but for the ICC profile, which colours depend on to the byte. EXIF is
parsed into known tags and built anew (`utils.exif`), XMP is parsed as XML and serialised again
(`utils.xmp`), resolution and PNG's colour chunks are numbers. Comments, text chunks, maker notes,
thumbnails, Photoshop blocks and whatever follows the end of the image are left behind: they describe
the old file, or can hide anything.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from utils.image_formats import exif, icc, jpeg_segments, png_chunks, webp_chunks, xmp
from utils.image_formats.exif import Exif
from utils.image_formats.jpeg_segments import Segment
from utils.image_formats.strip_writer import Layout

_METRES_PER_INCH = 0.0254
_LARGEST_INFLATED = 8 << 20  # bytes; the largest printer profiles have some 3 MB, beyond is a bomb

# Colour spaces that PNG writes as numbers, with the lengths the standard gives.
_PNG_COLOUR_CHUNKS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}
_PNG_XMP = b"XML:com.adobe.xmp"
_JFIF = b"JFIF\0"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_ICC = b"ICC_PROFILE\0"


@dataclass(frozen=True)
class Metadata:
    """What is kept of a picture beside its pixels.

    Args:
        icc_profile: byte for byte as it came.
        exif: known tags; orientation, sizes and thumbnails are not among them.
        xmp: a packet serialised anew.
        dpi: pixels per inch, across and down. The number stays, so a print grows with the picture.
        png_colour: the colour chunks of a PNG by kind, for want of a profile.
    """

    icc_profile: bytes | None = None
    exif: Exif = field(default_factory=Exif)
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    png_colour: Mapping[bytes, bytes] = field(default_factory=dict)

    def without_gps(self) -> Metadata:
        """The same without the place it was taken at, in EXIF and in XMP."""
        packet = xmp.rewrite(self.xmp, keep_gps=False) if self.xmp else None
        return replace(self, exif=self.exif.without_gps(), xmp=packet)

    def colour_only(self) -> Metadata:
        """What says which colours the numbers mean, and nothing else."""
        return Metadata(icc_profile=self.icc_profile, png_colour=self.png_colour)

    def without_profile(self) -> Metadata:
        """The same for pixels that the profile is not for."""
        return replace(self, icc_profile=None)


# --- PNG ----------------------------------------------------------------------------------------


def read_png_metadata(stream: BinaryIO) -> Metadata:
    """What a PNG carries. Damaged chunks of metadata are passed over, as every viewer does."""
    found: dict[bytes, bytes] = {}
    packet = None
    for chunk in png_chunks.walk(stream):
        if chunk.kind in (b"iCCP", b"eXIf", b"pHYs", *_PNG_COLOUR_CHUNKS):
            found.setdefault(chunk.kind, png_chunks.read(stream, chunk) or b"")
        elif chunk.kind == b"iTXt" and packet is None:
            packet = _parse_itxt_xmp(png_chunks.read(stream, chunk) or b"")
    tags = exif.parse(found.get(b"eXIf", b""))
    return Metadata(
        icc_profile=_parse_iccp(found.get(b"iCCP", b"")),
        exif=tags,
        xmp=xmp.rewrite(packet) if packet else None,
        dpi=_parse_phys(found.get(b"pHYs", b"")) or _sane(tags.resolution()),
        png_colour={
            kind: found[kind] for kind, length in _PNG_COLOUR_CHUNKS.items() if len(found.get(kind, b"")) == length
        },
    )


def png_metadata_chunks(metadata: Metadata, layout: Layout) -> Iterator[bytes]:
    """The chunks that hold the metadata of a PNG, to stand before its pixels."""
    for kind, data in metadata.png_colour.items():
        yield png_chunks.chunk_bytes(kind, data)
    # The standard wants a grey profile on grey; libpng ignores any other.
    if metadata.icc_profile and icc.channels(metadata.icc_profile) == (1 if layout.channels <= 2 else 3):
        yield png_chunks.chunk_bytes(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile))
    if metadata.dpi:
        across, down = (round(value / _METRES_PER_INCH) for value in metadata.dpi)
        yield png_chunks.chunk_bytes(b"pHYs", struct.pack(">IIB", across, down, 1))
    if block := exif.build(metadata.exif, layout.width, layout.height):
        yield png_chunks.chunk_bytes(b"eXIf", block)
    if metadata.xmp:
        yield png_chunks.chunk_bytes(b"iTXt", _PNG_XMP + b"\0\0\0\0\0" + metadata.xmp)


def _parse_iccp(data: bytes) -> bytes | None:
    _, _, rest = data.partition(b"\0")  # the name
    return _inflate(rest[1:]) if rest[:1] == b"\0" else None


def _parse_itxt_xmp(data: bytes) -> bytes | None:
    keyword, _, rest = data.partition(b"\0")
    if keyword != _PNG_XMP or rest.count(b"\0", 2) < 2:
        return None
    compressed, (_, _, text) = rest[0], rest[2:].split(b"\0", 2)  # language, translated keyword, text
    return _inflate(text) if compressed else text


def _parse_phys(data: bytes) -> tuple[float, float] | None:
    if len(data) != 9:
        return None
    across, down, unit = struct.unpack(">IIB", data)
    return _sane((across * _METRES_PER_INCH, down * _METRES_PER_INCH)) if unit == 1 else None


def _inflate(data: bytes) -> bytes | None:
    """A zlib stream's content, or None where it is broken or swells beyond reason."""
    decompressor = zlib.decompressobj()
    try:
        plain = decompressor.decompress(data, _LARGEST_INFLATED)
    except zlib.error:
        return None
    return plain if decompressor.eof else None


# --- JPEG ---------------------------------------------------------------------------------------


def read_jpeg_metadata(segments: Iterable[Segment]) -> Metadata:
    """What a JPEG of these segments carries."""
    block = packet = dpi = None
    profile_parts: dict[int, bytes] = {}
    for segment in segments:
        data = segment.data
        if segment.marker == jpeg_segments.APP0 and data.startswith(_JFIF):
            dpi = dpi or _parse_jfif(data)
        elif segment.marker == jpeg_segments.APP1 and data.startswith(exif.JPEG_PREFIX):
            block = block or data
        elif segment.marker == jpeg_segments.APP1 and data.startswith(_JPEG_XMP):
            packet = packet or data.removeprefix(_JPEG_XMP)
        elif segment.marker == jpeg_segments.APP2 and data.startswith(_JPEG_ICC) and len(data) > 14:
            profile_parts[data[12]] = data[14:]  # part number, number of parts, part
    tags = exif.parse(block or b"")
    return Metadata(
        icc_profile=b"".join(part for _, part in sorted(profile_parts.items())) or None,
        exif=tags,
        xmp=xmp.rewrite(packet) if packet else None,
        dpi=dpi or _sane(tags.resolution()),
    )


def jpeg_metadata_segments(metadata: Metadata, layout: Layout) -> Iterator[bytes]:
    """The segments that hold the metadata of a JPEG, to stand at its start.

    EXIF or XMP beyond the 64 KB of a segment is left out.
    """
    unit, (across, down) = (1, metadata.dpi) if metadata.dpi else (0, (1, 1))
    density = struct.pack(">BBBHHBB", 1, 1, unit, round(across), round(down), 0, 0)
    yield jpeg_segments.segment_bytes(jpeg_segments.APP0, _JFIF + density)
    block = exif.build(metadata.exif, layout.width, layout.height)
    for prefix, content in ((exif.JPEG_PREFIX, block), (_JPEG_XMP, metadata.xmp)):
        if content and len(prefix) + len(content) <= jpeg_segments.LARGEST_PAYLOAD:
            yield jpeg_segments.segment_bytes(jpeg_segments.APP1, prefix + content)
    profile = metadata.icc_profile or b""
    step = jpeg_segments.LARGEST_PAYLOAD - len(_JPEG_ICC) - 2
    parts = [profile[start : start + step] for start in range(0, len(profile), step)]
    for number, part in enumerate(parts, 1):
        yield jpeg_segments.segment_bytes(jpeg_segments.APP2, _JPEG_ICC + bytes((number, len(parts))) + part)


def _parse_jfif(data: bytes) -> tuple[float, float] | None:
    if len(data) < 12:
        return None
    unit, across, down = struct.unpack(">BHH", data[7:12])
    per_inch = {1: 1.0, 2: 2.54}.get(unit)
    return _sane((across * per_inch, down * per_inch)) if per_inch else None


def _sane(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    return dpi if dpi and all(1 <= value <= 65535 for value in dpi) else None


# --- WebP ---------------------------------------------------------------------------------------


def read_webp_metadata(stream: BinaryIO) -> Metadata:
    """What a WebP of ours carries."""
    found = webp_chunks.read(stream, webp_chunks.ICC, webp_chunks.EXIF, webp_chunks.XMP)
    tags = exif.parse(found.get(webp_chunks.EXIF, b""))
    packet = found.get(webp_chunks.XMP)
    return Metadata(
        icc_profile=found.get(webp_chunks.ICC),
        exif=tags,
        xmp=xmp.rewrite(packet) if packet else None,
        dpi=_sane(tags.resolution()),
    )
