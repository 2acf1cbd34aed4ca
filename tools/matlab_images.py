"""MATLAB's `imresize` (bicubic) and luma: what super-resolution papers mean by their decibels."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(H, W, 3), red first."""


def imresize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize (H, W, C) to `size` = (height, width) as MATLAB does: bicubic, antialiased when it shrinks."""
    rows = _resize_matrix(pixels.shape[0], size[0])
    columns = _resize_matrix(pixels.shape[1], size[1])
    taller = _round(np.tensordot(rows, pixels, axes=(1, 0)))  # MATLAB rounds between the two axes as well
    return _round(np.tensordot(columns, taller, axes=(1, 1)).swapaxes(0, 1))


def _round(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


@lru_cache(maxsize=64)
def _resize_matrix(length: int, new_length: int) -> NDArray[np.float64]:
    """The (new_length, length) weights of one axis; the edge pixel is repeated beyond the edge."""
    scale = new_length / length
    stretch = min(scale, 1.0)  # shrinking widens the kernel: that is the antialiasing
    half_width = 2.0 / stretch
    centre = (np.arange(new_length) + 0.5) / scale - 0.5
    first = np.floor(centre - half_width).astype(int)
    sources = first[:, None] + np.arange(math.ceil(2 * half_width) + 2)
    weights = _cubic((centre[:, None] - sources) * stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    inside = np.clip(sources, 0, length - 1)
    matrix = np.zeros((new_length, length))
    np.add.at(matrix, (np.arange(new_length)[:, None], inside), weights)
    return matrix


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic kernel with a = -1/2 (Keys, "Cubic convolution interpolation", 1981)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def luma(pixels: Pixels) -> NDArray[np.float64]:
    """The Y channel of `rgb2ycbcr` on uint8: (H, W, 3) -> (H, W), whole numbers 16..235 (BT.601)."""
    weighted: NDArray[np.float64] = pixels @ np.array([65.481, 128.553, 24.966])
    return np.round(16 + weighted / 255)


def grey(pixels: Pixels) -> NDArray[np.float64]:
    """`rgb2gray` on uint8: (H, W, 3) -> (H, W), whole numbers 0..255."""
    weighted: NDArray[np.float64] = pixels @ np.array([0.2989, 0.5870, 0.1140])
    return np.round(weighted)


def psnr(first: NDArray[np.generic], second: NDArray[np.generic], shave: int = 0) -> float:
    """Peak signal-to-noise ratio in dB of two 0..255 pictures, `shave` pixels of every edge left out."""
    inner = slice(shave, -shave or None)
    difference = first[inner, inner].astype(np.float64) - second[inner, inner].astype(np.float64)
    error = float(np.mean(difference**2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
