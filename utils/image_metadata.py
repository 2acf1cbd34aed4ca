"""What a picture carries beside its pixels: read, made clean, and written again.

Nothing is copied as it came, but for the ICC profile, which colour depends on to the byte. EXIF is
parsed into tags and built anew from those that are known; XMP is parsed as XML and serialised again.
Comments, text chunks, maker notes, thumbnails, Photoshop blocks and whatever follows the end of the
image are left behind: they describe the old file, or can hide anything.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from types import MappingProxyType
from typing import Any, BinaryIO
from xml.etree import ElementTree

from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

from utils import png_chunks

ExifTagValues = Mapping[int, Any]

_LARGEST_INFLATED = 16 << 20  # bytes; a profile or an XMP packet beyond this is an attack
_METRES_PER_INCH = 0.0254


@dataclass(frozen=True)
class Metadata:
    """What is kept of a picture beside its pixels.

    Args:
        icc_profile: byte for byte as it came.
        exif: tags of the main directory, by number; orientation, sizes and thumbnails are not among them.
        exif_details: tags of the Exif directory: exposure, lens, times.
        gps: tags of the GPS directory.
        xmp: a packet serialised anew, without the outer processing instructions.
        dpi: pixels per inch, across and down; the number stays, so the print grows.
    """

    icc_profile: bytes | None = None
    exif: ExifTagValues = field(default_factory=lambda: MappingProxyType({}))
    exif_details: ExifTagValues = field(default_factory=lambda: MappingProxyType({}))
    gps: ExifTagValues = field(default_factory=lambda: MappingProxyType({}))
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None

    def without_gps(self) -> Metadata:
        """The same without the place it was taken at, in EXIF and in XMP."""
        return replace(self, gps={}, xmp=self.xmp and clean_xmp(self.xmp, keep_gps=False))

    def colour_only(self) -> Metadata:
        """The ICC profile alone: without it the pixels would mean other colours."""
        return Metadata(icc_profile=self.icc_profile)

    def exif_block(self, width: int, height: int) -> bytes | None:
        """The EXIF block for a picture of that size (pixels), or None where there is nothing to say."""
        if not (self.exif or self.exif_details or self.gps):
            return None
        details = dict(self.exif_details) | {_PIXEL_X: width, _PIXEL_Y: height}
        exif = Image.Exif()
        exif.update(self.exif)
        exif[_ORIENTATION] = 1
        exif[ExifTags.IFD.Exif] = details
        if self.gps:
            exif[ExifTags.IFD.GPSInfo] = dict(self.gps)
        return exif.tobytes()


def read_jpeg_metadata(image: JpegImagePlugin.JpegImageFile) -> Metadata:
    """What an opened JPEG carries."""
    main, details, gps = parse_exif(image.info.get("exif", b""))
    return Metadata(
        icc_profile=image.info.get("icc_profile"),
        exif=main,
        exif_details=details,
        gps=gps,
        xmp=clean_xmp(image.info.get("xmp", b"")),
        dpi=_sane_dpi(image.info.get("dpi")),
    )


def read_png_metadata(stream: BinaryIO) -> Metadata:
    """What a PNG carries; damaged chunks of metadata are passed over, as every viewer does."""
    chunks = {chunk.kind: chunk for chunk in png_chunks.walk(stream)}
    known = {
        kind: png_chunks.read(stream, chunks[kind]) for kind in (b"iCCP", b"eXIf", b"pHYs") if kind in chunks
    }
    main, details, gps = parse_exif(known.get(b"eXIf") or b"")
    return Metadata(
        icc_profile=_parse_iccp(known.get(b"iCCP") or b""),
        exif=main,
        exif_details=details,
        gps=gps,
        xmp=clean_xmp(_find_png_xmp(stream)),
        dpi=_parse_phys(known.get(b"pHYs") or b""),
    )


# --- ICC ----------------------------------------------------------------------------------------


def profile_channels(profile: bytes | None) -> int | None:
    """The colour channels an ICC profile is for (1, 3 or 4), or None where it is no usable profile."""
    if not profile:
        return None
    try:
        space = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.xcolor_space
    except (OSError, TypeError, ValueError):
        return None
    return {"GRAY": 1, "RGB ": 3, "CMYK": 4}.get(space)


def _parse_iccp(data: bytes) -> bytes | None:
    _, _, rest = data.partition(b"\0")
    return inflate(rest[1:]) if rest[:1] == b"\0" else None


def inflate(data: bytes) -> bytes | None:
    """Decompress a zlib stream of metadata, or None where it is broken or a bomb."""
    decompressor = zlib.decompressobj()
    try:
        plain = decompressor.decompress(data, _LARGEST_INFLATED)
    except zlib.error:
        return None
    return plain if decompressor.eof else None


# --- EXIF ---------------------------------------------------------------------------------------

_ORIENTATION = ExifTags.Base.Orientation
_PIXEL_X, _PIXEL_Y = ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight

# What describes the scene, the camera or the author. Everything else in the main directory describes
# how the old file was laid out.
_KEPT_MAIN_TAGS = frozenset(
    {
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.XResolution,
        ExifTags.Base.YResolution,
        ExifTags.Base.ResolutionUnit,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.HostComputer,
        ExifTags.Base.Copyright,
        ExifTags.Base.Rating,
        ExifTags.Base.RatingPercent,
        ExifTags.Base.XPTitle,
        ExifTags.Base.XPComment,
        ExifTags.Base.XPAuthor,
        ExifTags.Base.XPKeywords,
        ExifTags.Base.XPSubject,
    }
)
# The Exif directory's numbers in the standard (CIPA DC-008), from ExposureTime to CompositeImage.
_DETAIL_TAGS = range(0x829A, 0xA500 + 1)
_DROPPED_DETAIL_TAGS = frozenset(
    {
        ExifTags.Base.MakerNote,  # private, of any content, and its offsets break when moved
        ExifTags.IFD.Interop,  # a pointer
        _PIXEL_X,  # written anew
        _PIXEL_Y,
    }
)
_GPS_TAGS = range(32)
_CODE = re.compile(rb"<\s*(\?|%|script)", re.IGNORECASE)


def parse_exif(data: bytes) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """The known tags of an EXIF block: the main directory's, the Exif directory's, the GPS directory's.

    A directory that cannot be parsed counts as empty: it is no reason to lose the picture.
    """
    exif = Image.Exif()
    try:
        exif.load(data)
        main = {tag: value for tag, value in exif.items() if tag in _KEPT_MAIN_TAGS}
        details = exif.get_ifd(ExifTags.IFD.Exif)
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # the parser meets arbitrary bytes
        return {}, {}, {}
    return (
        _writable(main),
        _writable({t: v for t, v in details.items() if t in _DETAIL_TAGS and t not in _DROPPED_DETAIL_TAGS}),
        _writable({t: v for t, v in gps.items() if t in _GPS_TAGS}),
    )


def _writable(tags: dict[int, Any]) -> dict[int, Any]:
    """The tags whose values are harmless and can be written again."""
    return {
        tag: value for tag, value in tags.items() if not _holds_code(value) and _can_be_written(tag, value)
    }


def _holds_code(value: Any) -> bool:
    """Whether a text holds what a badly set up server might run, such as `<?php`."""
    raw = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return isinstance(raw, bytes) and bool(_CODE.search(raw.replace(b"\0", b"")))


def _can_be_written(tag: int, value: Any) -> bool:
    exif = Image.Exif()
    exif[tag] = value
    try:
        exif.tobytes()
    except Exception:  # such as a fraction over zero or a number too large for its type
        return False
    return True


# --- XMP ----------------------------------------------------------------------------------------

_XMP_KEYWORD = b"XML:com.adobe.xmp"
_NS_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_NS_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
# Names that would be wrong of the new picture.
_DROPPED_XMP = frozenset(
    {
        _NS_TIFF + "Orientation",
        _NS_TIFF + "ImageWidth",
        _NS_TIFF + "ImageLength",
        _NS_EXIF + "PixelXDimension",
        _NS_EXIF + "PixelYDimension",
        "{http://ns.adobe.com/xap/1.0/}Thumbnails",
    }
)


def clean_xmp(packet: bytes, *, keep_gps: bool = True) -> bytes | None:
    """An XMP packet parsed and serialised again, or None where it is none or declares a document type.

    Comments and processing instructions are lost in parsing. Entities need a document type, so refusing
    that refuses them.
    """
    try:
        text = packet.decode("utf-8").strip("\0\ufeff \r\n\t")
        if not text or "<!DOCTYPE" in text:
            return None
        root = ElementTree.fromstring(text)  # noqa: S314  no document type, so no entities
    except (UnicodeDecodeError, ElementTree.ParseError):
        return None
    _prune(root, keep_gps)
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _prune(element: ElementTree.Element, keep_gps: bool) -> None:
    def unwanted(name: str) -> bool:
        return name in _DROPPED_XMP or (not keep_gps and name.startswith(_NS_EXIF + "GPS"))

    for name in [name for name in element.attrib if unwanted(name)]:
        del element.attrib[name]
    for child in list(element):
        if unwanted(child.tag):
            element.remove(child)
        else:
            _prune(child, keep_gps)


def _find_png_xmp(stream: BinaryIO) -> bytes:
    for chunk in png_chunks.walk(stream):
        if chunk.kind != b"iTXt":
            continue
        keyword, _, rest = (png_chunks.read(stream, chunk) or b"").partition(b"\0")
        if keyword == _XMP_KEYWORD and len(rest) > 2:
            text = rest[2:].split(b"\0", 2)[-1]  # behind the language and the translated keyword
            return (inflate(text) or b"") if rest[0] else text
    return b""


# --- DPI ----------------------------------------------------------------------------------------


def _parse_phys(data: bytes) -> tuple[float, float] | None:
    if len(data) != 9:
        return None
    across, down, unit = struct.unpack(">IIB", data)
    return _sane_dpi((across * _METRES_PER_INCH, down * _METRES_PER_INCH)) if unit == 1 else None


def _sane_dpi(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= 65535 and 1 <= down <= 65535 else None


def png_metadata_chunks(metadata: Metadata, width: int, height: int) -> Iterator[bytes]:
    """The chunks that hold the metadata of a PNG of that size (pixels), to stand before its pixels."""
    if metadata.icc_profile:
        yield png_chunks.chunk_bytes(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile))
    if metadata.dpi:
        across, down = (round(value / _METRES_PER_INCH) for value in metadata.dpi)
        yield png_chunks.chunk_bytes(b"pHYs", struct.pack(">IIB", across, down, 1))
    if exif := metadata.exif_block(width, height):
        yield png_chunks.chunk_bytes(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    if metadata.xmp:
        yield png_chunks.chunk_bytes(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp)
