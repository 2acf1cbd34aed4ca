"""In which number format a network runs: float32, or a shorter one where that is faster and good enough."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from upscaler.convolution import convolve
from utils.errors import InvalidParameter

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Processor flags, as Linux names them, of instructions that multiply bfloat16: x86 with AVX512-BF16 or AMX, Arm.
# Elsewhere bfloat16 is emulated, and slow.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}

WORTHWHILE = 0.9  # of float32's time: below this the shorter format is taken
TRIALS = 7
TRIAL_SIDE = 96  # px: a few milliseconds a convolution


def choose_precision(wish: str, device: torch.device, features: int) -> torch.dtype:
    """The number format for `wish`, one of `PRECISIONS` by name or `auto`.

    `auto` on a processor takes bfloat16 where there are instructions for it and a short trial shows it to be
    faster. On an accelerator it takes float16, which is as fast as bfloat16 and finer.

    Args:
        features: channels of the network's convolutions.

    Raises:
        InvalidParameter: there is no such precision.
    """
    if wish in PRECISIONS:
        return PRECISIONS[wish]
    if wish != "auto":
        raise InvalidParameter(f"PRECISION is {wish!r}; it has to be auto, {', '.join(PRECISIONS)}.")
    if device.type != "cpu":
        return torch.float16
    faster = processor_has_bfloat16() and bfloat16_is_faster(features)
    return torch.bfloat16 if faster else torch.float32


def precision_for(pixels_bits: int, wish: str, chosen: torch.dtype) -> torch.dtype:
    """The format for one picture: left to choose, bfloat16's 8 bits are not put upon 16-bit pixels."""
    too_coarse = wish == "auto" and pixels_bits > 8 and chosen is torch.bfloat16
    return torch.float32 if too_coarse else chosen


def overflowed(values: Tensor, dtype: torch.dtype) -> bool:
    """Whether float16's range was too small somewhere on the way to these values."""
    return dtype is torch.float16 and not bool(torch.isfinite(values).all())


def processor_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by itself, as far as the operating system tells."""
    try:
        return bool(BFLOAT16_FLAGS & set(Path("/proc/cpuinfo").read_text().split()))
    except OSError:
        return False


@lru_cache
def bfloat16_is_faster(features: int) -> bool:
    """By trial of a convolution such as the network's, once a process: some 50 ms, so nothing is stored."""
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    operands = {dtype: _operands(features, dtype) for dtype in best}
    for _ in range(TRIALS):  # in turns, so that a busy moment of the machine hits both
        for dtype in best:
            start = time.perf_counter()
            convolve(*operands[dtype], (1, 1))
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.bfloat16] < WORTHWHILE * best[torch.float32]


def _operands(features: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    picture = torch.rand(1, features, TRIAL_SIDE, TRIAL_SIDE).to(dtype)
    weight = torch.rand(features, features, 3, 3).to(dtype)
    layout = torch.channels_last
    return picture.to(memory_format=layout), weight.to(memory_format=layout), torch.rand(features).to(dtype)
