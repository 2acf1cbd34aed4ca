"""A real network that takes a millisecond a picture: an SRVGGNetCompact of four channels with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from upscaler.architectures import SRVGGNetCompact

NAME = "tiny"
SCALE = 2


def put_into(models_dir: Path) -> None:
    """Write the checkpoint as an operator would put one of his own into MODELS_DIR."""
    models_dir.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    network = SRVGGNetCompact(features=4, convolutions=1, scale=SCALE)
    weights = {
        name: torch.randn(tensor.shape, generator=generator) / 8 for name, tensor in network.state_dict().items()
    }
    save_file(weights, models_dir / f"{NAME}.safetensors")
