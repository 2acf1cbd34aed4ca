"""Networks with random weights, for tests that need a network and not its pictures."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


def frozen(network: N, seed: int = 0) -> N:
    """With weights drawn anew, strong enough for every layer to matter, and ready to run."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 4
        parameter.data = torch.randn(parameter.shape, generator=generator) * fan_in**-0.5
    return network.eval().requires_grad_(False)
