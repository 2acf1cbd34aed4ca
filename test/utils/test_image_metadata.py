"""What a picture carries: kept where it is true of the new picture, left behind where it is not."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from utils.image_files import MetadataPolicy, Picture, decode, encode
from utils.image_formats import exif, png_chunks, xmp
from utils.image_formats.exif import Exif, Field
from utils.image_formats.metadata import Metadata
from utils.image_formats.outputs import OutputFormat

FORMATS: tuple[OutputFormat, ...] = ("png", "jpeg", "webp")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CODE = b"<?php system($_GET[0]); ?>"

XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" tiff:Orientation="6" exif:GPSLatitude="48,6.0N">
<!-- a comment --><?php system(1) ?><dc:title>Bäume &amp; &lt;?php</dc:title>
<exif:GPSLongitude>11,30.0E</exif:GPSLongitude></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def tags() -> Image.Exif:
    """What a camera and its owner write, and some of what must not come through."""
    block = Image.Exif()
    block[ExifTags.Base.Make] = "Maker"
    block[ExifTags.Base.Software] = CODE.decode()
    block[ExifTags.Base.Orientation] = 6
    block[ExifTags.Base.YCbCrPositioning] = 1
    block[ExifTags.IFD.Exif] = {
        ExifTags.Base.FNumber: 2.8,
        ExifTags.Base.ISOSpeedRatings: 200,
        ExifTags.Base.DateTimeOriginal: "2024:01:02 03:04:05",
        ExifTags.Base.MakerNote: b"private" + CODE,
        ExifTags.Base.UserComment: b"ASCII\0\0\0" + CODE,
        ExifTags.Base.ExifImageWidth: 9999,
    }
    block[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0, 6.0, 0.0)}
    return block


def upload(path: Path, **options: Any) -> Path:
    Image.new("RGB", (30, 20), "teal").save(path, **options)
    return path


@pytest.fixture(params=["jpg", "png"])
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file that carries all that can be carried, and code in every place that takes text."""
    path = tmp_path / f"full.{request.param}"
    options: dict[str, Any] = {"icc_profile": SRGB, "exif": tags(), "dpi": (300, 300)}
    if request.param == "jpg":
        upload(path, xmp=XMP, comment=CODE, **options)
    else:
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
        text.add_text("Comment", CODE.decode())
        upload(path, pnginfo=text, **options)
    path.write_bytes(path.read_bytes() + CODE)
    return path


def carried(picture: Picture, image_format: OutputFormat, policy: MetadataPolicy = "keep") -> Image.Image:
    stream = BytesIO()
    encode(picture, stream, image_format, metadata=policy)
    assert b"<?php" not in stream.getvalue()
    return Image.open(stream)


def xmp_of(image: Image.Image) -> str:
    image.load()
    packet = image.info.get("xmp", b"")
    return packet.decode() if isinstance(packet, bytes) else packet


@pytest.mark.parametrize("image_format", FORMATS)
def test_all_that_is_true_of_the_new_picture_is_kept(full: Path, image_format: OutputFormat) -> None:
    image = carried(decode(full), image_format)
    assert image.info["icc_profile"] == SRGB
    block = image.getexif()
    assert block[ExifTags.Base.Make] == "Maker"
    assert block[ExifTags.Base.Orientation] == 1
    details = block.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.FNumber] == pytest.approx(2.8)
    assert details[ExifTags.Base.ISOSpeedRatings] == 200
    assert details[ExifTags.Base.DateTimeOriginal] == "2024:01:02 03:04:05"
    assert (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]) == image.size
    assert block.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (48.0, 6.0, 0.0)
    assert "Bäume &amp; &lt;?php" in xmp_of(image)
    assert "GPSLongitude" in xmp_of(image)
    if image_format == "webp":
        assert block[ExifTags.Base.XResolution] == pytest.approx(300, abs=0.1)
    else:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("image_format", FORMATS)
def test_what_describes_the_old_file_or_hides_code_is_left_behind(full: Path, image_format: OutputFormat) -> None:
    image = carried(decode(full), image_format)
    block = image.getexif()
    assert ExifTags.Base.Software not in block  # it held code
    assert ExifTags.Base.YCbCrPositioning not in block
    details = block.get_ifd(ExifTags.IFD.Exif)
    assert not {ExifTags.Base.MakerNote, ExifTags.Base.UserComment} & set(details)
    assert not {"comment", "Comment"} & set(image.info)
    assert "Orientation" not in xmp_of(image)
    assert "a comment" not in xmp_of(image)


@pytest.mark.parametrize("image_format", FORMATS)
def test_the_place_can_be_left_out_alone(full: Path, image_format: OutputFormat) -> None:
    image = carried(decode(full), image_format, "no-gps")
    block = image.getexif()
    assert block[ExifTags.Base.Make] == "Maker"
    assert not block.get_ifd(ExifTags.IFD.GPSInfo)
    assert "Bäume" in xmp_of(image)
    assert "GPS" not in xmp_of(image)


@pytest.mark.parametrize("image_format", FORMATS)
def test_stripping_leaves_what_colours_depend_on_and_nothing_else(full: Path, image_format: OutputFormat) -> None:
    image = carried(decode(full), image_format, "strip")
    assert image.info["icc_profile"] == SRGB
    assert not image.getexif()
    assert xmp_of(image) == ""
    assert "dpi" not in image.info


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_picture_that_carries_nothing_gets_nothing(image_format: OutputFormat) -> None:
    image = carried(Picture(np.zeros((4, 4, 3), np.uint8)), image_format)
    assert not image.getexif()
    assert not {"icc_profile", "xmp", "dpi", "exif"} & set(image.info)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_profile_of_many_segments_is_kept_byte_for_byte(image_format: OutputFormat, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes(200_000)
    profile = struct.pack(">I", len(SRGB) + len(noise)) + SRGB[4:] + noise
    assert profile[:128] != SRGB[:128]
    picture = decode(upload(tmp_path / "a.jpg", icc_profile=profile))
    assert picture.metadata.icc_profile == profile
    assert carried(picture, image_format).info["icc_profile"] == profile


@pytest.mark.parametrize("profile", [b"", b"no profile", SRGB[:200], SRGB + CODE], ids=len)
def test_what_is_no_profile_is_left_out(profile: bytes, tmp_path: Path) -> None:
    picture = decode(upload(tmp_path / "a.jpg", icc_profile=profile))
    assert picture.metadata.icc_profile is None


# --- EXIF ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
def test_text_of_any_script_is_kept_in_either_byte_order(order: exif.ByteOrder) -> None:
    name = "Jürgen 张伟".encode()
    fields = {0x013B: Field(2, len(name) + 1, name + b"\0"), 0x9C9B: Field(1, 6, "Tï\0".encode("utf-16-le"))}
    block = exif.build(Exif(main=fields, byte_order=order), 8, 8)
    assert block is not None
    again = exif.parse(block)
    assert again.byte_order == order
    assert {tag: again.main[tag] for tag in fields} == fields


def test_resolution_is_read_from_exif_where_there_is_no_other(tmp_path: Path) -> None:
    block = Image.Exif()
    block[ExifTags.Base.XResolution] = block[ExifTags.Base.YResolution] = 100.0
    block[ExifTags.Base.ResolutionUnit] = 3  # a centimetre
    assert decode(upload(tmp_path / "a.png", exif=block)).metadata.dpi == pytest.approx((254, 254))


def test_damaged_exif_is_passed_over_whatever_is_wrong_with_it() -> None:
    rng = np.random.default_rng(3)
    whole = tags().tobytes()
    assert exif.parse(whole).details
    for _ in range(3000):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 8)] = rng.integers(0, 256, 8)
        cut = damaged[: rng.integers(0, len(damaged) + 1)].tobytes()
        assert 1 <= exif.orientation(cut) <= 8
        block = exif.build(exif.parse(cut), 10, 10, (72, 72))
        assert block is not None
        assert exif.orientation(block) == 1


def test_numbers_are_not_taken_for_code_and_text_in_utf_16_is() -> None:
    lens = Field(5, 4, b"<%<?" * 8)
    title = Field(1, 60, CODE.decode().encode("utf-16-le"))
    block = exif.build(Exif(main={0x9C9B: title}, details={0xA432: lens}), 8, 8)
    assert block is not None
    again = exif.parse(block)
    assert again.details[0xA432] == lens
    assert 0x9C9B not in again.main


def test_exif_beyond_the_size_of_a_segment_is_left_out_of_a_jpeg_alone() -> None:
    text = Field(2, 16000, b"x" * 16000)
    fields = dict.fromkeys((0x10E, 0x10F, 0x110, 0x131, 0x13B, 0x8298), text)
    picture = Picture(np.zeros((4, 4, 3), np.uint8), Metadata(exif=Exif(main=fields)))
    assert not carried(picture, "jpeg").getexif()
    assert carried(picture, "png").getexif()[0x10E] == "x" * 16000


# --- XMP -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"no xml",
        b"<a><b></a>",
        b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"\xff\xfe" + "<a/>".encode("utf-16-le"),
        b"<a>" + b"x" * (1 << 20) + b"</a>",
        b"<a>" * 50_000 + b"</a>" * 50_000,
    ],
    ids=range(8),
)
def test_xmp_that_is_broken_or_dangerous_is_left_out(packet: bytes) -> None:
    assert xmp.rewrite(packet) is None


def test_xmp_written_twice_is_the_same() -> None:
    once = xmp.rewrite(XMP)
    assert once is not None
    assert xmp.rewrite(once) == once


# --- PNG's own -------------------------------------------------------------------------------------


def with_chunk(path: Path, kind: bytes, data: bytes) -> None:
    whole = path.read_bytes()
    end_of_header = len(png_chunks.SIGNATURE) + 25
    path.write_bytes(whole[:end_of_header] + png_chunks.chunk_bytes(kind, data) + whole[end_of_header:])


def test_a_pngs_colour_chunks_are_kept(tmp_path: Path) -> None:
    path = upload(tmp_path / "a.png")
    colour = {
        b"gAMA": struct.pack(">I", 45455),
        b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
        b"cICP": bytes((9, 16, 0, 1)),
    }
    for kind, data in colour.items():
        with_chunk(path, kind, data)
    picture = decode(path)
    for policy in ("keep", "strip"):
        stream = BytesIO()
        encode(picture, stream, metadata=policy)
        chunks = {chunk.kind: png_chunks.read(stream, chunk) for chunk in png_chunks.walk(stream)}
        assert {kind: chunks[kind] for kind in colour} == colour


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"gAMA", b"\0"),
        (b"pHYs", b"\0\0"),
        (b"pHYs", struct.pack(">IIB", 2**31, 0, 1)),
        (b"eXIf", b"MM\0*\xff\xff\xff\xff"),
        (b"iCCP", b"no zero"),
        (b"iCCP", b"broken\0\0" + b"no zlib"),
        (b"iCCP", b"bomb\0\0" + zlib.compress(bytes(100 << 20))),
        (b"iTXt", b"XML:com.adobe.xmp\0"),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0no zlib"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_damaged_metadata_is_no_reason_to_refuse_a_png(kind: bytes, data: bytes, tmp_path: Path) -> None:
    path = upload(tmp_path / "a.png")
    with_chunk(path, kind, data)
    assert decode(path).metadata == Metadata()
