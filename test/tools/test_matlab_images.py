"""The yardstick itself: our bicubic and luma are MATLAB's, so our decibels are those of the papers."""

from pathlib import Path

import numpy as np
import pytest

from tools.matlab_images import imresize, psnr
from tools.measure_bundled import bicubic, measure_against_truth, reduced_paths
from tools.networks import read_rgb

SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is absent: no benchmark pictures")


@needs_shared
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_reducing_a_benchmark_picture_gives_matlabs_reduction_to_the_bit(name: str) -> None:
    for path in reduced_paths(SHARED, name):
        reduced = read_rgb(path)
        true = read_rgb(path.with_name(path.name.replace("LR", "HR")))
        np.testing.assert_array_equal(imresize(true, reduced.shape[:2]), reduced)


@needs_shared
def test_bicubic_measures_what_the_papers_print() -> None:
    decibels = {name: before for name, before, _ in measure_against_truth(bicubic, SHARED)}
    assert decibels == {"Set5": pytest.approx(28.42, abs=0.01), "Set14": pytest.approx(26.00, abs=0.01)}


def test_psnr_of_a_known_error() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    assert psnr(black, black + 255) == 0
    assert psnr(black, black + 1) == pytest.approx(48.13, abs=0.01)


def test_a_flat_picture_stays_flat() -> None:
    assert (imresize(np.full((7, 5, 3), 200, np.uint8), (28, 20)) == 200).all()
