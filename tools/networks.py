"""Networks from their files, and pictures into and out of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from tools.matlab_images import Pixels
from upscaler.architectures import network_from_weights

SCALE = 4  # what every network here enlarges by


def load_network(path: Path) -> nn.Module:
    """The network in a `.safetensors` file or one of the official `.pth` files, in float32."""
    if path.suffix == ".safetensors":
        weights = load_file(path)
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)["params"]
    return network_from_weights({name: value.float() for name, value in weights.items()})


def load_teacher(shared: Path) -> nn.Module:
    """general-x4v3, the network that `fast` imitates."""
    return load_network(shared / "weights" / "general-x4v3-half.pth")


def read_rgb(path: Path) -> Pixels:
    """A picture file's pixels; alpha is dropped, 16 bits become 8, grey becomes three equal channels."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def to_tensor(pictures: list[Pixels]) -> Tensor:
    """Pictures (H, W, 3) of one size -> (N, 3, H, W) in 0..1, channels last in memory."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(255)


def to_pixels(tensor: Tensor) -> Pixels:
    """(1, 3, H, W) in about 0..1 -> (H, W, 3) in 0..255, rounded."""
    pixels: Pixels = tensor[0].float().mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return pixels
