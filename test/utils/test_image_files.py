"""Pictures come out of the decoder right and whole, and go through the encoder unharmed."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from icc_profiles import cmyk_profile_of_one_colour, grey_profile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from utils.errors import AnimatedImage, OutputTooLarge, Undecodable
from utils.image_files import Picture, decode, encode
from utils.image_formats import jpeg_segments, png_chunks
from utils.image_formats.outputs import check_fits
from utils.image_formats.strip_writer import Pixels

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared"
PNGSUITE = SHARED / "bad-images/pngsuite"
IMAGES = SHARED / "images"
VALID_PNGS = sorted(path for path in PNGSUITE.glob("*.png") if not path.name.startswith("x"))

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is absent")


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def encoded(picture: Picture, *arguments: Any, **options: Any) -> bytes:
    stream = BytesIO()
    encode(picture, stream, *arguments, **options)
    return stream.getvalue()


def round_trip(picture: Picture, tmp_path: Path, image_format: str = "png", **options: Any) -> Picture:
    path = tmp_path / f"again.{image_format}"
    encode(picture, path, image_format, **options)
    return decode(path)


# --- Decoding: nothing gets through that is not whole ----------------------------------------------

DECODE_ALL = """
import json, sys
from utils.errors import ServiceError
from utils.image_files import decode
outcomes = {}
for path in sys.argv[1:]:
    try:
        outcomes[path] = str(decode(path).pixels.shape)
    except ServiceError as error:
        outcomes[path] = error.code
print(json.dumps(outcomes))
"""


@needs_shared
def test_every_bad_file_is_a_picture_or_a_coded_error_and_none_ends_the_process() -> None:
    paths = [str(path) for path in sorted((SHARED / "bad-images").glob("*/*"))]
    done = subprocess.run([sys.executable, "-c", DECODE_ALL, *paths], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = json.loads(done.stdout)
    assert len(outcomes) == len(paths) > 500
    codes = {outcome for outcome in outcomes.values() if not outcome.startswith("(")}
    assert codes <= {"undecodable", "unsupported_format"}
    broken = {Path(path).name for path, outcome in outcomes.items() if outcome in codes}
    assert {path.name for path in PNGSUITE.glob("x*.png")} <= broken
    assert not {path.name for path in VALID_PNGS} & broken


@needs_shared
@pytest.mark.parametrize("name", ["children-alpha.png", "tree_alpha_16bit.png", "0014.jpg"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_undecodable(name: str, share: float, tmp_path: Path) -> None:
    whole = (IMAGES / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Undecodable):
        decode(path)


@needs_shared
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 2}, {"restart_marker_blocks": 7}], ids=str
)
def test_a_jpeg_that_ends_early_behind_a_proper_end_marker_is_undecodable(
    options: dict[str, Any], tmp_path: Path
) -> None:
    path = save(tmp_path / "a.jpg", Image.open(IMAGES / "0014.jpg"), quality=90, **options)
    whole = path.read_bytes()
    assert decode(path).layout.height == 179
    for share in (0.5, 0.8, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)] + b"\xff\xd9")
        with pytest.raises(Undecodable):
            decode(path)


@needs_shared
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 7}], ids=str
)
def test_no_whole_photograph_is_taken_for_one_that_ends_early(options: dict[str, Any], tmp_path: Path) -> None:
    for photograph in sorted((SHARED / "train").glob("*/*.jpg"))[::16]:
        with Image.open(photograph) as image:
            path = save(tmp_path / "a.jpg", image, **options)
            assert decode(path).layout.width == image.width


def test_a_png_with_damaged_pixels_is_undecodable(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.radial_gradient("L"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(Undecodable):
        decode(path)


def test_an_animated_png_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    path = save(tmp_path / "a.png", frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(AnimatedImage):
        decode(path)


def test_a_picture_larger_than_memory_is_out_of_memory_and_not_a_dead_process(tmp_path: Path) -> None:
    rows = zlib.compress(bytes(30_001 * 3) * 10)  # the size is what counts; memory is asked for first
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    path = tmp_path / "bomb.png"
    path.write_bytes(png_chunks.SIGNATURE + b"".join(png_chunks.chunk_bytes(*chunk) for chunk in chunks))
    script = f"""
import resource
from utils.errors import ServiceError
from utils.image_files import decode
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
try:
    decode({str(path)!r})
except ServiceError as error:
    print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "out_of_memory"), done.stderr


# --- Decoding: the right pixels --------------------------------------------------------------------


def reference_png(path: Path) -> NDArray[np.uint16]:
    """An independent decoder, from the standard, for PNGs of whole bytes that are not interlaced.

    Returns:
        (H, W, channels) of the file's own samples.
    """
    with path.open("rb") as stream:
        chunks = [(chunk.kind, png_chunks.read(stream, chunk)) for chunk in png_chunks.walk(stream)]
    width, height, depth, colour = struct.unpack(">IIBB", dict(chunks)[b"IHDR"][:10])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    step = channels * depth // 8
    plain = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    rows = np.frombuffer(plain, np.uint8).reshape(height, -1)
    above = [0] * (width * step)
    result = []
    for kind, *row in rows.tolist():
        for index, value in enumerate(row):
            left = row[index - step] if index >= step else 0
            corner = above[index - step] if index >= step else 0
            up = above[index]
            paeth = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
            row[index] = (value + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        above = row
        result.append(row)
    samples = np.array(result, np.uint8).tobytes()
    return np.frombuffer(samples, f">u{depth // 8}").reshape(height, width, channels).astype(np.uint16)


@needs_shared
@pytest.mark.parametrize(
    "name", ["basn0g16", "basn2c16", "basn4a16", "basn6a16", "basn0g08", "basn2c08", "basn4a08", "basn6a08"]
)
def test_samples_are_those_of_an_independent_decoder(name: str) -> None:
    picture = decode(PNGSUITE / f"{name}.png")
    expected = reference_png(PNGSUITE / f"{name}.png")
    assert picture.pixels.dtype == (np.uint16 if name.endswith("16") else np.uint8)
    assert picture.layout.channels == expected.shape[2]
    np.testing.assert_array_equal(picture.pixels.reshape(expected.shape), expected)


def as_rgba_of_8_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Any picture's pixels as (H, W, 4), by the high byte of 16 bits, which is how Pillow reads these."""
    high = (pixels >> (pixels.dtype.itemsize * 8 - 8)).astype(np.uint8)
    image = Image.fromarray(high)  # (H, W), (H, W, 2), (H, W, 3) and (H, W, 4) are L, LA, RGB and RGBA
    return np.array(image.convert("RGBA"))


@needs_shared
@pytest.mark.parametrize("path", VALID_PNGS, ids=lambda path: path.stem)
def test_every_valid_png_of_the_suite_looks_as_pillow_sees_it(path: Path) -> None:
    image = Image.open(path)
    samples = np.array(image if image.mode == "I;16" else image.convert("RGBA"))
    expected = as_rgba_of_8_bits(samples)
    seen = as_rgba_of_8_bits(decode(path).pixels)
    if image.mode in ("L", "I;16") and "transparency" in image.info:
        seen, expected = seen[..., :3], expected[..., :3]  # Pillow compares unlike depths there
    np.testing.assert_array_equal(seen, expected)


@needs_shared
@pytest.mark.parametrize(
    ("name", "channels", "bits"),
    [
        ("basn0g01", 1, 8),  # one bit
        ("basn0g04", 1, 8),
        ("basn3p02", 3, 8),  # palette
        ("tp1n3p08", 4, 8),  # palette with transparency
        ("tbbn0g04", 2, 8),  # grey with one transparent grey
        ("tbwn0g16", 2, 16),
        ("tbbn2c16", 4, 16),  # RGB with one transparent colour
        ("tbrn2c08", 4, 8),
        ("basi4a16", 2, 16),
        ("g03n0g16", 1, 16),
    ],
)
def test_channels_and_depth_follow_the_file(name: str, channels: int, bits: int) -> None:
    layout = decode(PNGSUITE / f"{name}.png").layout
    assert (layout.channels, layout.bits) == (channels, bits)


@needs_shared
@pytest.mark.parametrize("name", ["tbbn0g04", "tbwn0g16", "tbbn2c16", "tbrn2c08"])
def test_the_transparent_colour_becomes_alpha(name: str) -> None:
    path = PNGSUITE / f"{name}.png"
    with path.open("rb") as stream:
        chunks = {chunk.kind: png_chunks.read(stream, chunk) for chunk in png_chunks.walk(stream)}
    depth, key = chunks[b"IHDR"][8], np.frombuffer(chunks[b"tRNS"], ">u2")
    picture = decode(path)
    top = 2**picture.layout.bits - 1
    scaled = key.astype(np.int64) * top // (2**depth - 1)
    matches = (picture.pixels[..., :-1] == scaled).all(axis=-1)
    np.testing.assert_array_equal(picture.pixels[..., -1], np.where(matches, 0, top))
    assert 0 < matches.sum() < matches.size


def test_a_dark_picture_of_16_bits_stays_one_of_16_bits(tmp_path: Path) -> None:
    dark = np.arange(200, dtype=np.uint16).reshape(10, 20)
    cv2.imwrite(str(tmp_path / "dark.png"), dark)
    np.testing.assert_array_equal(decode(tmp_path / "dark.png").pixels, dark)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_the_pixels_and_reset(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.radial_gradient("L").crop((0, 10, 128, 90))  # no symmetry
    path = save(tmp_path / f"a.{suffix}", image, exif=exif, quality=100)
    expected = ImageOps.exif_transpose(Image.open(path))
    picture = decode(path)
    np.testing.assert_array_equal(picture.pixels, np.array(expected))
    for image_format in ("png", "jpeg", "webp"):
        again = Image.open(BytesIO(encoded(picture, image_format)))
        assert again.size == expected.size
        assert again.getexif().get(0x0112, 1) == 1


# --- CMYK ------------------------------------------------------------------------------------------


@pytest.fixture
def colours() -> NDArray[np.uint8]:
    """Large flat patches, which JPEG keeps nearly exactly."""
    levels = np.random.default_rng(5).integers(0, 256, (3, 4, 3), np.uint8)
    return levels.repeat(32, axis=0).repeat(32, axis=1)


def as_cmyk(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Ink from RGB, with as much black as goes."""
    black = 255 - colours.max(axis=-1, keepdims=True).astype(np.float64)
    inks = np.where(black < 255, (255 - black - colours) / np.maximum(255 - black, 1) * 255, 0)
    return np.concatenate([inks, black], axis=-1).round().astype(np.uint8)


def without_segment(jpeg: bytes, marker: int) -> bytes:
    for segment in jpeg_segments.walk(BytesIO(jpeg)):
        if segment.marker == marker:
            return jpeg[: segment.offset] + jpeg[segment.offset + 4 + len(segment.data) :]
    raise LookupError(marker)


def cmyk_jpeg(path: Path, cmyk: NDArray[np.uint8], **options: Any) -> Path:
    return save(path, Image.fromarray(cmyk, "CMYK"), quality=100, subsampling=0, **options)


def test_adobes_inverted_cmyk_becomes_rgb(colours: NDArray[np.uint8], tmp_path: Path) -> None:
    picture = decode(cmyk_jpeg(tmp_path / "a.jpg", as_cmyk(colours)))
    assert picture.source_mode == "CMYK"
    np.testing.assert_allclose(picture.pixels.astype(int), colours, atol=4)


def test_plain_cmyk_becomes_rgb(colours: NDArray[np.uint8], tmp_path: Path) -> None:
    path = cmyk_jpeg(tmp_path / "a.jpg", 255 - as_cmyk(colours))  # Pillow inverts what it writes
    path.write_bytes(without_segment(path.read_bytes(), jpeg_segments.APP14))
    np.testing.assert_allclose(decode(path).pixels.astype(int), colours, atol=4)


def test_ycck_becomes_rgb(colours: NDArray[np.uint8], tmp_path: Path) -> None:
    cmyk = as_cmyk(colours)
    ycc = np.array(Image.fromarray(cmyk[..., :3], "RGB").convert("YCbCr"))
    stored = np.dstack([ycc, 255 - cmyk[..., 3]])
    path = cmyk_jpeg(tmp_path / "a.jpg", 255 - stored)
    data = path.read_bytes()
    transform = data.index(b"Adobe") + 11
    path.write_bytes(data[:transform] + b"\x02" + data[transform + 1 :])
    np.testing.assert_allclose(decode(path).pixels.astype(int), colours, atol=6)


def test_cmyk_goes_through_its_profile_which_is_not_carried_on(colours: NDArray[np.uint8], tmp_path: Path) -> None:
    profile = cmyk_profile_of_one_colour((53, 80, 67))  # sRGB's red
    picture = decode(cmyk_jpeg(tmp_path / "a.jpg", as_cmyk(colours), icc_profile=profile))
    assert picture.metadata.icc_profile is None
    np.testing.assert_allclose(picture.pixels.reshape(-1, 3).mean(axis=0), (255, 0, 0), atol=8)


def test_cmyk_with_a_broken_profile_is_converted_without_it(colours: NDArray[np.uint8], tmp_path: Path) -> None:
    profile = cmyk_profile_of_one_colour((53, 80, 67))[:-2000]
    picture = decode(cmyk_jpeg(tmp_path / "a.jpg", as_cmyk(colours), icc_profile=profile))
    np.testing.assert_allclose(picture.pixels.astype(int), colours, atol=4)


# --- Encoding --------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("path", [*VALID_PNGS, *sorted(IMAGES.glob("*"))], ids=lambda path: path.name)
def test_a_png_gives_back_every_pixel(path: Path, tmp_path: Path) -> None:
    picture = decode(path)
    again = round_trip(picture, tmp_path)
    assert again.pixels.dtype == picture.pixels.dtype
    np.testing.assert_array_equal(again.pixels, picture.pixels)


@needs_shared
@pytest.mark.parametrize("name", ["0014.jpg", "00017_gray.png"])
def test_a_jpeg_of_the_default_quality_is_near_the_picture_and_keeps_its_channels(name: str, tmp_path: Path) -> None:
    picture = decode(IMAGES / name)
    again = round_trip(picture, tmp_path, "jpeg")
    assert again.layout == picture.layout
    assert cv2.PSNR(again.pixels, picture.pixels) > 40


@needs_shared
def test_quality_makes_jpeg_and_webp_smaller() -> None:
    picture = decode(IMAGES / "0014.jpg")
    for image_format in ("jpeg", "webp"):
        sizes = [len(encoded(picture, image_format, quality=quality)) for quality in (95, 75, 30)]
        assert sizes == sorted(sizes, reverse=True)


def test_16_bits_are_rounded_to_the_nearest_8(tmp_path: Path) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    blocks = levels[:, ::16].repeat(8, axis=0).repeat(8, axis=1)  # flat over JPEG's blocks
    again = round_trip(Picture(blocks), tmp_path, "jpeg", quality=100)
    assert again.layout.bits == 8
    assert np.abs(again.pixels - blocks / 257).max() <= 1.5


@needs_shared
def test_webp_keeps_alpha() -> None:
    picture = decode(IMAGES / "children-alpha.png")
    again = Image.open(BytesIO(encoded(picture, "webp")))
    assert again.mode == "RGBA"
    np.testing.assert_array_equal(np.array(again)[..., 3], picture.pixels[..., 3])


@needs_shared
@pytest.mark.parametrize("name", ["children-alpha.png", "tree_alpha_16bit.png"])
def test_a_jpeg_of_a_picture_with_alpha_lies_on_white(name: str, tmp_path: Path) -> None:
    picture = decode(IMAGES / name)
    colour, alpha = (
        (picture.pixels / (2**picture.layout.bits - 1))[..., :3],
        picture.pixels[..., 3:] / (2**picture.layout.bits - 1),
    )
    expected = (colour * alpha + 1 - alpha) * 255
    again = round_trip(picture, tmp_path, "jpeg", quality=100)
    assert np.abs(again.pixels - expected).mean() < 1


@pytest.mark.parametrize(
    ("width", "height", "image_format"), [(16384, 1, "webp"), (1, 65536, "jpeg"), (65536, 1, "jpeg")]
)
def test_a_format_that_cannot_hold_the_picture_says_so(width: int, height: int, image_format: str) -> None:
    picture = Picture(np.zeros((height, width), np.uint8))
    with pytest.raises(OutputTooLarge, match="format=png"):
        encoded(picture, image_format)
    check_fits(width - (width > 1), height - (height > 1), image_format)
    assert Image.open(BytesIO(encoded(picture, "png"))).size == (width, height)


def test_the_widest_png_that_is_made_can_be_read_again(tmp_path: Path) -> None:
    picture = Picture(np.zeros((1, 1_000_000), np.uint8))
    assert round_trip(picture, tmp_path).layout == picture.layout
    with pytest.raises(OutputTooLarge):
        check_fits(1_000_001, 1, "png")


def test_grey_stays_grey_with_the_profile_it_came_with(tmp_path: Path) -> None:
    profile = grey_profile()
    grey = Image.radial_gradient("L")
    for path in (
        save(tmp_path / "a.jpg", grey, icc_profile=profile),
        save(tmp_path / "a.png", grey, icc_profile=profile),
    ):
        picture = decode(path)
        assert picture.metadata.icc_profile == profile
        for image_format in ("png", "jpeg"):
            again = Image.open(BytesIO(encoded(picture, image_format)))
            assert (again.mode, again.info["icc_profile"]) == ("L", profile)


def test_a_profile_for_other_channels_is_left_out(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey_on_rgb = save(tmp_path / "a.jpg", Image.new("RGB", (8, 8)), icc_profile=grey_profile())
    assert decode(grey_on_rgb).metadata.icc_profile is None
    rgb_on_grey = decode(save(tmp_path / "b.jpg", Image.new("L", (8, 8)), icc_profile=srgb))
    assert Image.open(BytesIO(encoded(rgb_on_grey, "jpeg"))).info["icc_profile"] == srgb
    assert "icc_profile" not in Image.open(BytesIO(encoded(rgb_on_grey, "png"))).info  # forbidden there
