"""The web process's look at an upload: right for good files, a coded error for all others."""

from __future__ import annotations

import random
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image

from utils.errors import AnimatedImage, ServiceError, Undecodable, UnsupportedFormat
from utils.image_formats import png_chunks
from utils.image_header import ImageHeader, extension_matches, read_header

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared"
PNGSUITE = SHARED / "bad-images/pngsuite"
BAD_IMAGES = sorted((SHARED / "bad-images").glob("*/*"))

# The pixels of xcsn0g01 have a wrong checksum, which is the decoder's to find.
BROKEN_STRUCTURES = sorted(path for path in PNGSUITE.glob("x*.png") if path.stem != "xcsn0g01")

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is absent")


def header_of(data: bytes) -> ImageHeader:
    return read_header(BytesIO(data))


def outcome(stream: BinaryIO) -> ImageHeader | ServiceError:
    try:
        return read_header(stream)
    except ServiceError as error:
        return error


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@needs_shared
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("images/00017_gray.png", ImageHeader("PNG", 500, 351, "L")),
        ("images/children-alpha.png", ImageHeader("PNG", 566, 350, "RGBA")),
        ("images/tree_alpha_16bit.png", ImageHeader("PNG", 342, 256, "RGBA;16")),
        ("images/0014.jpg", ImageHeader("JPEG", 179, 179, "RGB")),
        ("bad-images/pngsuite/basn0g01.png", ImageHeader("PNG", 32, 32, "1")),
        ("bad-images/pngsuite/basn0g16.png", ImageHeader("PNG", 32, 32, "L;16")),
        ("bad-images/pngsuite/basn3p04.png", ImageHeader("PNG", 32, 32, "P")),
        ("bad-images/pngsuite/basi4a16.png", ImageHeader("PNG", 32, 32, "LA;16")),
        ("bad-images/pngsuite/oi9n2c16.png", ImageHeader("PNG", 32, 32, "RGB;16")),
    ],
)
def test_a_real_picture_is_described(path: str, expected: ImageHeader) -> None:
    assert header_of((SHARED / path).read_bytes()) == expected


@needs_shared
@pytest.mark.parametrize("path", BAD_IMAGES, ids=lambda path: path.name)
def test_whatever_is_sent_is_a_header_or_a_coded_error_and_the_stream_is_rewound(path: Path) -> None:
    with path.open("rb") as stream:
        result = outcome(stream)
        assert stream.tell() == 0
    assert isinstance(result, ImageHeader | Undecodable | UnsupportedFormat)


@needs_shared
@pytest.mark.parametrize("path", BROKEN_STRUCTURES, ids=lambda path: path.stem)
def test_the_broken_files_of_pngsuite_are_refused(path: Path) -> None:
    with pytest.raises((Undecodable, UnsupportedFormat)):
        header_of(path.read_bytes())


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"not a picture", b"GIF89a" + bytes(50), b"\x89PNG\r\n\x1a"])
def test_what_is_neither_png_nor_jpeg_is_an_unsupported_format(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        header_of(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}], ids=str)
def test_a_jpeg_cut_anywhere_is_refused(options: dict[str, object]) -> None:
    whole = encoded(Image.radial_gradient("L"), "JPEG", **options)
    assert header_of(whole).width == 256
    for length in range(4, len(whole)):
        with pytest.raises(Undecodable):
            header_of(whole[:length])


def test_a_png_cut_anywhere_is_refused() -> None:
    whole = encoded(Image.radial_gradient("L"), "PNG")
    assert header_of(whole).width == 256
    for length in range(8, len(whole)):
        with pytest.raises(Undecodable):
            header_of(whole[:length])


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_what_stands_behind_the_end_of_a_picture_does_not_matter(image_format: str) -> None:
    whole = encoded(Image.new("RGB", (30, 20)), image_format)
    assert header_of(whole + b"\0\xff and more" * 1000) == header_of(whole)


def test_an_animated_png_is_refused() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    with pytest.raises(AnimatedImage):
        header_of(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]))


def test_a_jpeg_with_a_second_picture_behind_it_is_the_first_one() -> None:
    # So phones store previews, depth and gain maps; it is no animation.
    first, second = Image.new("RGB", (40, 30)), Image.new("RGB", (10, 10))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert header_of(data) == ImageHeader("JPEG", 40, 30, "RGB")


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_of_the_upright_picture(image_format: str, orientation: int) -> None:
    data = encoded(Image.new("RGB", (30, 20)), image_format, exif=oriented(orientation))
    header = header_of(data)
    assert header.orientation == orientation
    assert (header.width, header.height) == ((20, 30) if orientation >= 5 else (30, 20))


def test_a_senseless_orientation_counts_as_upright() -> None:
    assert header_of(encoded(Image.new("L", (3, 2)), "JPEG", exif=oriented(99))).orientation == 1


def png_of_size(width: int, height: int) -> bytes:
    ihdr = width.to_bytes(4) + height.to_bytes(4) + bytes((8, 2, 0, 0, 0))
    chunks = ((b"IHDR", ihdr), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return png_chunks.SIGNATURE + b"".join(png_chunks.chunk_bytes(*chunk) for chunk in chunks)


def test_a_bomb_is_described_and_not_unpacked() -> None:
    assert header_of(png_of_size(1_000_000, 1_000_000)).width == 1_000_000


def test_a_png_that_no_decoder_takes_is_refused_at_once() -> None:
    with pytest.raises(Undecodable, match="1000001 × 1"):
        header_of(png_of_size(1_000_001, 1))


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_undecodable(width: int, height: int) -> None:
    with pytest.raises(Undecodable):
        header_of(png_of_size(width, height))


def test_a_file_of_endless_tiny_chunks_is_refused() -> None:
    whole = png_of_size(1, 1)
    with pytest.raises(Undecodable, match="chunks"):
        header_of(whole[:-12] + png_chunks.chunk_bytes(b"teXt", b"") * 200_000 + whole[-12:])


def test_a_jpeg_of_twelve_bits_is_refused_by_name() -> None:
    whole = encoded(Image.new("L", (8, 8)), "JPEG")
    frame = whole.index(b"\xff\xc0")
    with pytest.raises(Undecodable, match="12 bits"):
        header_of(whole[: frame + 4] + b"\x0c" + whole[frame + 5 :])


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_picture_with_any_bytes_changed_never_raises_anything_but_a_coded_error(image_format: str) -> None:
    rng = random.Random(7)
    whole = encoded(Image.radial_gradient("L"), image_format, exif=oriented(6), icc_profile=b"profile" * 9)
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(min(400, len(data)))] = rng.randrange(256)
        assert isinstance(outcome(BytesIO(data)), ImageHeader | Undecodable | UnsupportedFormat)


@pytest.mark.parametrize(
    ("name", "image_format", "matches"),
    [
        ("a.png", "PNG", True),
        ("a.PNG", "PNG", True),
        ("a.jpg", "JPEG", True),
        ("a.b.JpEg", "JPEG", True),
        ("a.png", "JPEG", False),
        ("a.jpg", "PNG", False),
        ("a.gif", "JPEG", False),
        ("a.jpg.exe", "JPEG", False),
        ("png", "PNG", False),
        (".png", "PNG", False),
        ("", "PNG", False),
    ],
)
def test_the_extension_must_be_that_of_the_content(name: str, image_format: str, matches: bool) -> None:
    assert extension_matches(name, image_format) is matches


def test_nothing_heavy_is_imported() -> None:
    script = "import sys, utils.image_header; print({'cv2', 'torch', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
