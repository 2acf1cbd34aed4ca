"""In which number format a network runs: float32, or bfloat16/float16 where that is faster and good."""

from __future__ import annotations

from pathlib import Path

import torch

from utils.errors import InvalidParameter

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_precision(wish: str, device: torch.device) -> torch.dtype:
    """The number format for `wish`: one of its names, or `auto`."""
    if wish in PRECISIONS:
        return PRECISIONS[wish]
    if wish != "auto":
        raise InvalidParameter(f"PRECISION is {wish!r}; it has to be auto, {', '.join(PRECISIONS)}.")
    if device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if _processor_has_bfloat16() else torch.float32


def _processor_has_bfloat16() -> bool:
    """By the kernel's word: AVX512-BF16 or AMX on x86, BF16 on Arm."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})
