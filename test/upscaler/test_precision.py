"""Which number format is chosen, and what it costs in quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sample_pixels import read

from upscaler.architectures import Network
from upscaler.engine import Engine
from upscaler.precision import bfloat16_is_faster, choose_precision, precision_for, processor_has_bfloat16
from utils.errors import InvalidParameter

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_named_precision_is_taken_without_a_trial(name: str) -> None:
    assert choose_precision(name, CPU, 64) is getattr(torch, name)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="PRECISION"):
        choose_precision("int4", CPU, 64)


def test_left_to_choose_the_processor_and_the_trial_have_to_agree() -> None:
    expected = processor_has_bfloat16() and bfloat16_is_faster(16)
    assert choose_precision("auto", CPU, 16) is (torch.bfloat16 if expected else torch.float32)


def test_16_bit_pixels_take_float32_unless_told_otherwise() -> None:
    assert precision_for(16, "auto", torch.bfloat16) is torch.float32
    assert precision_for(8, "auto", torch.bfloat16) is torch.bfloat16
    assert precision_for(16, "auto", torch.float16) is torch.float16
    assert precision_for(16, "bfloat16", torch.bfloat16) is torch.bfloat16


@pytest.mark.parametrize("name", ["0014.jpg", "ADE_val_00000114.jpg"])
def test_bfloat16_is_50_decibels_from_float32(official: Network, shared: Path, name: str) -> None:
    pixels = read(shared / "images" / name)[:160, :160]
    exact, short = (Engine(official, "cpu", precision).upscale(pixels) for precision in ("float32", "bfloat16"))
    error = np.mean(np.square(exact.astype(float) - short))
    assert 10 * np.log10(255**2 / error) >= 50
