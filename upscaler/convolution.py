"""3x3 convolutions whose rounding does not depend on how large the picture is.

torch.nn.functional.conv2d picks between several kernels by the input's size, and those add up in
different orders. oneDNN, asked directly, adds the same numbers in the same order for every output pixel,
so a band's result is the whole picture's, bit for bit (test/upscaler/test_seams.py holds it to that).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ONEDNN_TYPES = (torch.float32, torch.bfloat16)  # float16 needs processors that are still rare


def convolve(x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W) channels-last, (O, C, 3, 3), (O) -> (N, O, H', W'), with zeros around."""
    if x.device.type == "cpu" and x.dtype in ONEDNN_TYPES and torch.backends.mkldnn.is_available():
        return torch.mkldnn_convolution(x, weight, bias, padding, (1, 1), (1, 1), 1)
    return F.conv2d(x, weight, bias, padding=padding)
