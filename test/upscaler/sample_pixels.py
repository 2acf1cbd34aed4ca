"""Pixels for tests: noise of any shape, and pictures from files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from upscaler.pixels import Pixels


def noise(height: int, width: int, *channels: int, dtype: type = np.uint8, seed: int = 0) -> Pixels:
    """Random pixels: the hardest picture for anything that should not show."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, np.iinfo(dtype).max, (height, width, *channels), dtype, endpoint=True)


def read(path: Path) -> Pixels:
    """A picture as the engine wants it: its own depth and channels, red first."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    order = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    return cv2.cvtColor(pixels, order[pixels.shape[2]]) if pixels.ndim == 3 else pixels
