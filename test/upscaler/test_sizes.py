"""From what a caller wishes to whole pixels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upscaler.sizes import output_size, pass_sizes
from utils.errors import InvalidParameter

lengths = st.integers(1, 20_000)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, (400, 200)),
        ({"scale": 1}, (100, 50)),
        ({"scale": 2.5}, (250, 125)),
        ({"scale": 8}, (800, 400)),
        ({"scale": 1.01}, (101, 51)),
        ({"fit_width": 300}, (300, 150)),
        ({"fit_height": 300}, (600, 300)),
        ({"fit_width": 300, "fit_height": 100}, (200, 100)),
        ({"fit_width": 100, "fit_height": 400}, (100, 50)),
    ],
)
def test_a_wish_becomes_a_size(wish: dict[str, float], expected: tuple[int, int]) -> None:
    assert output_size(100, 50, 4, **wish) == expected


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"scale": 0.99}, "scale"),
        ({"scale": 8.01}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": 2, "fit_width": 300}, "scale"),
        ({"fit_width": 99}, "width"),
        ({"fit_height": 401}, "height"),
        ({"fit_height": 0}, "height"),
        ({"fit_width": 300, "fit_height": 20}, "height"),
    ],
)
def test_a_wish_that_cannot_be_names_its_field(wish: dict[str, float], field: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        output_size(100, 50, 4, **wish)
    assert caught.value.field == field


@given(lengths, lengths, st.floats(1, 8), st.floats(1, 8))
def test_a_fitted_picture_fits_and_touches_a_side(width: int, height: int, across: float, down: float) -> None:
    fit_width, fit_height = int(width * across), int(height * down)
    size = output_size(width, height, 4, None, fit_width, fit_height)
    assert size[0] <= fit_width
    assert size[1] <= fit_height
    assert size[0] == fit_width or size[1] == fit_height


@given(lengths, lengths, st.floats(1, 8), st.sampled_from([1, 2, 3, 4]))
def test_every_run_enlarges_by_no_more_than_the_network_can(
    width: int, height: int, scale: float, model_scale: int
) -> None:
    source, target = (width, height), output_size(width, height, model_scale, scale)
    sizes = pass_sizes(source, target, model_scale)
    assert sizes[-1] == target
    for before, after in zip([source, *sizes], sizes, strict=False):
        if model_scale > 1:
            assert after[0] <= before[0] * model_scale
            assert after[1] <= before[1] * model_scale


def test_a_factor_within_the_networks_own_takes_one_run() -> None:
    assert pass_sizes((100, 50), (400, 200), 4) == [(400, 200)]
    assert pass_sizes((100, 50), (401, 201), 4) == [(101, 51), (401, 201)]
    assert pass_sizes((100, 50), (800, 400), 2) == [(200, 100), (400, 200), (800, 400)]
