"""Resizing in bands against Pillow's resizing of the whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from upscaler.resampling import resized

lengths = st.integers(1, 90)


def cut(picture: Tensor, rows: int) -> Iterator[Tensor]:
    yield from picture.split(rows)


@settings(max_examples=150, deadline=None)
@given(lengths, lengths, lengths, lengths, st.integers(1, 95))
def test_bands_give_what_the_whole_gives(height: int, width: int, rows: int, columns: int, band: int) -> None:
    picture = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(0))
    ours = torch.cat([*resized(cut(picture, band), (width, height), (columns, rows))])
    planes = [
        Image.fromarray(plane.numpy()).resize((columns, rows), Image.Resampling.BICUBIC) for plane in picture.unbind(2)
    ]
    np.testing.assert_allclose(ours.numpy(), np.dstack(planes), rtol=0, atol=2e-5)


@pytest.mark.parametrize("target", [(33, 21), (100, 100), (7, 90)])
def test_a_flat_picture_stays_flat(target: tuple[int, int]) -> None:
    picture = torch.full((50, 40, 1), 0.7)
    ours = torch.cat([*resized(cut(picture, 8), (40, 50), target)])
    torch.testing.assert_close(ours, torch.full((target[1], target[0], 1), 0.7))


def test_rows_leave_before_the_last_has_come() -> None:
    bands = resized(cut(torch.rand(100, 10, 3), 10), (10, 100), (5, 50))
    assert len(next(bands)) >= 2


def test_the_same_size_is_handed_through() -> None:
    picture = torch.rand(20, 10, 3)
    assert torch.equal(torch.cat([*resized(cut(picture, 7), (10, 20), (10, 20))]), picture)
