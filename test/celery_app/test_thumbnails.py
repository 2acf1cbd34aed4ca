"""Thumbnails: every kept size, of any kind of pixels, in sRGB."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from icc_profiles import grey_profile
from PIL import Image

from celery_app.thumbnails import make_thumbnails
from utils.thumbnails import SIDES, kept_side, shrunk


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_kind_of_pixels_has_every_kept_size(channels: int, dtype: Any) -> None:
    pixels = np.full((600, 1500, channels), np.iinfo(dtype).max // 3, dtype)
    made = make_thumbnails(pixels, None, opaque=False)
    for side in SIDES:
        assert opened(made[side]).size == pytest.approx((side, side * 600 / 1500), abs=1)
    image = opened(made[1024])
    assert image.mode == ("RGBA" if channels in (2, 4) else "RGB")
    assert image.convert("RGBA").getpixel((100, 100)) == pytest.approx(
        (85, 85, 85, 85 if channels in (2, 4) else 255), abs=2
    )


def test_a_small_or_very_long_picture_has_a_thumbnail_too() -> None:
    assert opened(make_thumbnails(np.zeros((1, 1), np.uint8), None, opaque=True)[1024]).size == (1, 1)
    long = make_thumbnails(np.zeros((3, 60_000, 3), np.uint8), None, opaque=True)
    assert [opened(long[side]).size for side in SIDES] == [(1024, 1), (512, 1), (256, 1), (128, 1)]


def test_what_the_format_shows_on_white_is_on_white() -> None:
    clear = np.zeros((40, 40, 4), np.uint8)
    assert opened(make_thumbnails(clear, None, opaque=True)[128]).getpixel((20, 20)) == (255, 255, 255)


def test_colours_go_through_their_profile_to_srgb() -> None:
    image = opened(make_thumbnails(np.full((40, 40), 128, np.uint8), grey_profile(), opaque=True)[128])
    linear = (128 / 255) ** 1.8
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert image.convert("RGB").getpixel((20, 20)) == pytest.approx((expected,) * 3, abs=3)
    assert "icc_profile" not in image.info


def test_a_thumbnail_of_any_size_is_made_of_the_next_larger_one_kept() -> None:
    assert [kept_side(side) for side in (16, 128, 129, 1000, 1024)] == [128, 128, 256, 1024, 1024]
    kept = make_thumbnails(np.zeros((300, 200, 3), np.uint8), None, opaque=True)[256]
    assert opened(shrunk(kept, 100)).size == (67, 100)
    assert shrunk(kept, 256) == kept
