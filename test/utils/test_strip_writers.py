"""PNG and JPEG written in strips are the same as written in one piece."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from utils.image_formats.jpeg_writer import JpegWriter
from utils.image_formats.png_writer import PngWriter
from utils.image_formats.strip_writer import Layout, Pixels, StripWriter

Begin = Callable[[BytesIO, Layout], StripWriter[object]]

BEGIN: dict[str, Begin] = {
    "png": PngWriter,
    "jpeg": lambda stream, layout: JpegWriter(stream, layout, 95),
    "jpeg, colour halved": lambda stream, layout: JpegWriter(stream, layout, 80),
}


def picture(height: int, width: int, channels: int, bits: int = 8) -> Pixels:
    """Something between noise and a gradient."""
    rng = np.random.default_rng(height * width)
    top = 2**bits
    noise = rng.integers(0, top // 8, (height, width, channels))
    slope = np.linspace(0, top * 7 // 8 - 1, height * width, dtype=int).reshape(height, width, 1)
    return (noise + slope).astype(np.uint8 if bits == 8 else np.uint16)


def written(begin: Begin, pixels: Pixels, rows_at_a_time: int) -> bytes:
    stream = BytesIO()
    with begin(stream, Layout.of(pixels)) as writer:
        for top in range(0, len(pixels), rows_at_a_time):
            writer.write_rows(pixels[top : top + rows_at_a_time])
    return stream.getvalue()


def read_by_opencv(data: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (97, 1001), (700, 613)])
def test_a_png_of_any_layout_holds_the_very_pixels(height: int, width: int, channels: int, bits: int) -> None:
    pixels = picture(height, width, channels, bits)
    seen = read_by_opencv(written(PngWriter, pixels, 50))
    if channels == 1:
        expected = pixels[..., 0]
    else:  # OpenCV's order, and grey with alpha as colour
        expected = pixels[..., {2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]]
    assert seen.dtype == pixels.dtype
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("quality", [95, 80])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (63, 17), (64, 64), (65, 9), (1000, 333), (70, 5000)])
def test_a_jpeg_in_strips_holds_the_pixels_of_one_in_a_piece(
    height: int, width: int, channels: int, quality: int
) -> None:
    pixels = picture(height, width, channels)
    factor = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if quality == 95 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    in_one_piece = cv2.imencode(".jpg", pixels[..., ::-1] if channels == 3 else pixels, options)[1].tobytes()
    data = written(lambda stream, layout: JpegWriter(stream, layout, quality), pixels, 50)
    np.testing.assert_array_equal(read_by_opencv(data), read_by_opencv(in_one_piece))
    np.testing.assert_array_equal(np.array(Image.open(BytesIO(data))), np.array(Image.open(BytesIO(in_one_piece))))


@pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN)
def test_how_many_rows_come_at_a_time_does_not_matter(begin: Begin) -> None:
    pixels = picture(1500, 400, 3)
    at_once = written(begin, pixels, 1500)
    assert all(written(begin, pixels, rows) == at_once for rows in (1, 7, 64, 499))


def test_rows_may_be_changed_as_soon_as_they_are_handed_in() -> None:
    pixels = picture(2000, 500, 3)
    stream = BytesIO()
    with PngWriter(stream, Layout.of(pixels)) as writer:
        rows = np.empty_like(pixels[:100])
        for top in range(0, 2000, 100):
            rows[:] = pixels[top : top + 100]
            writer.write_rows(rows)
            rows[:] = 0
    np.testing.assert_array_equal(read_by_opencv(stream.getvalue())[..., ::-1], pixels)


@pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN)
def test_missing_rows_are_an_error(begin: Begin) -> None:
    writer = begin(BytesIO(), Layout(10, 10, 3))
    writer.write_rows(picture(9, 10, 3))
    with pytest.raises(ValueError, match="9 of 10 rows"):
        writer.__exit__(None, None, None)


@pytest.mark.parametrize("rows", [picture(11, 10, 3), picture(5, 10, 3, 16)], ids=["too many", "too deep"])
def test_rows_that_do_not_fit_are_an_error(rows: Pixels) -> None:
    with pytest.raises(ValueError, match="do not fit"), PngWriter(BytesIO(), Layout(10, 10, 3)) as writer:
        writer.write_rows(rows)


def interrupted(begin: Begin, stream: BytesIO) -> None:
    with begin(stream, Layout(500, 500, 3)) as writer:
        writer.write_rows(picture(400, 500, 3))
        raise KeyboardInterrupt


@pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN)
def test_after_a_failure_the_file_is_not_finished_and_no_thread_is_left(begin: Begin) -> None:
    stream = BytesIO()
    with pytest.raises(KeyboardInterrupt):
        interrupted(begin, stream)
    assert not stream.getvalue().endswith((b"IEND\xaeB`\x82", b"\xff\xd9"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("encode")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_reported() -> None:
    with open("/dev/full", "wb", buffering=0) as stream, pytest.raises(OSError, match="No space left"):
        PngWriter(stream, Layout(10, 10, 3))
