"""Nothing lost: alpha without halos, grey that stays grey, 16 bits that stay 16."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from sample_pixels import noise, read

from upscaler.catalog import find_model
from upscaler.engine import Engine
from upscaler.pixels import Pixels, is_constant, split

BACKGROUNDS = {"black": (0, 0, 0), "white": (255, 255, 255), "magenta": (255, 0, 255)}


def composite(pixels: Pixels, background: tuple[int, int, int]) -> Pixels:
    """RGBA over one colour, as float in 0..255."""
    alpha = pixels[..., 3:] / 255.0
    return pixels[..., :3] * alpha + np.array(background) * (1 - alpha)


def decibels(error: Pixels, white: float = 255.0) -> float:
    return float(10 * np.log10(white**2 / np.mean(np.square(error, dtype=np.float64))))


@pytest.fixture(scope="module")
def children(shared: Path) -> Pixels:
    return read(shared / "images" / "children-alpha.png")


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_transparent_edges_have_no_halo(fast: Engine, children: Pixels, background: str) -> None:
    """Enlarging and then compositing comes near compositing and then enlarging, along the edges too.

    The two cannot be equal: a network draws an edge between cloth and black otherwise than one between
    opaque and transparent. A halo would be a shift of the whole edge, and tens of levels of it.
    """
    colour = BACKGROUNDS[background]
    large = fast.upscale(children)
    first = fast.upscale(np.rint(composite(children, colour)).astype(np.uint8))
    error = composite(large, colour) - first
    soft = ((large[..., 3] > 5) & (large[..., 3] < 250)).astype(np.uint8)
    edge = cv2.dilate(soft, np.ones((9, 9))) > 0
    assert decibels(error) > 33
    assert decibels(error[edge]) > 20
    assert np.abs(error[edge].mean(axis=0)).max() < 8


def test_what_lies_under_transparent_pixels_does_not_matter(fast: Engine, children: Pixels) -> None:
    hidden = children[..., 3] == 0
    results = []
    for colour in (0, 255):
        picture = children.copy()
        picture[hidden, :3] = colour
        results.append(fast.upscale(picture))
    assert np.array_equal(*results)


def test_visible_colour_is_kept_where_it_is_extended() -> None:
    pixels = noise(40, 50, 4)
    pixels[10:30, 10:30, 3] = 0
    colour, _ = split(pixels)
    visible = pixels[..., 3] >= 16
    assert np.array_equal(colour[visible], pixels[..., :3][visible])
    around = pixels[5:35, 5:35][..., :3][pixels[5:35, 5:35, 3] > 0]
    assert abs(colour[10:30, 10:30].mean() - around.mean()) < 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (33, 65)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_wholly_transparent_picture_stays_so(fast: Engine, shape: tuple[int, int], dtype: type) -> None:
    pixels = noise(*shape, 4, dtype=dtype)
    pixels[..., 3] = 0
    assert not fast.upscale(pixels, 2)[..., 3].any()


def test_constant_alpha_costs_nothing(fast: Engine) -> None:
    pixels = noise(40, 30, 4)
    pixels[..., 3] = 77
    large = fast.upscale(pixels)
    assert (large[..., 3] == 77).all()
    assert np.array_equal(large[..., :3], fast.upscale(pixels[..., :3]))
    assert is_constant(pixels[..., 3:])
    assert not is_constant(pixels[..., :1])


def test_a_grey_picture_is_the_brightness_of_its_colour_version(fast: Engine, shared: Path) -> None:
    grey = read(shared / "images" / "00017_gray.png")
    assert grey.ndim == 2
    large = fast.upscale(grey)
    colour = fast.upscale(np.repeat(grey[..., None], 3, axis=2))
    brightness = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    assert large.shape == (grey.shape[0] * 4, grey.shape[1] * 4)
    assert np.abs(large.astype(int) - brightness).max() <= 2  # what clamping three colours by themselves makes


def test_grey_with_alpha_keeps_both_in_their_places(fast: Engine) -> None:
    pixels = noise(24, 20, 2)
    pixels[..., 1] = np.maximum(pixels[..., 1], 16)  # nothing to extend
    large = fast.upscale(pixels)
    for channel in range(2):
        assert np.array_equal(large[..., channel], fast.upscale(np.ascontiguousarray(pixels[..., channel])))


def test_16_bits_are_the_8_bit_result_in_finer_steps(fast: Engine) -> None:
    pixels = cv2.GaussianBlur(noise(40, 30, 3), (0, 0), 2)
    fine = fast.upscale(pixels.astype(np.uint16) * 257)
    coarse = fast.upscale(pixels)
    assert fine.dtype == np.uint16
    assert np.abs(fine / 257 - coarse).max() <= 0.51
    assert len(np.unique(fine)) > 256


def test_a_real_16_bit_picture_keeps_its_depth_and_alpha(fast: Engine, shared: Path) -> None:
    tree = read(shared / "images" / "tree_alpha_16bit.png")[:160, :160]
    assert (tree.dtype, tree.shape[2]) == (np.uint16, 4)
    large = fast.upscale(tree)
    assert (large.dtype, large.shape) == (np.uint16, (640, 640, 4))
    assert len(np.unique(large[..., :3])) > 1000


def test_a_dark_16_bit_picture_is_not_taken_for_8_bit(fast: Engine) -> None:
    """Depth goes by type: values below 256 are black with detail, not a bright 8-bit picture."""
    pixels = noise(30, 30, 3, dtype=np.uint8).astype(np.uint16)
    large = fast.upscale(pixels)
    assert large.max() < 1000
    assert large.std() > 10


def test_16_bit_pictures_are_not_put_through_bfloat16_unasked(fast: Engine, tmp_path: Path) -> None:
    pixels = noise(20, 20, 3, dtype=np.uint16)
    unasked = Engine.of_model(find_model("fast", tmp_path), tmp_path, device="cpu")
    assert np.array_equal(unasked.upscale(pixels), fast.upscale(pixels))
