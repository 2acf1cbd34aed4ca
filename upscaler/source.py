"""One plane of a picture, handed to the network a window at a time as float."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from upscaler.pixels import Pixels, full_scale
from upscaler.tiling import Span


class Source:
    """Pixels (H, W, 1 or 3) that stay in their own depth; only windows of them become float."""

    def __init__(self, pixels: Pixels, device: torch.device):
        self.pixels = pixels
        self.device = device
        self.height, self.width, self.channels = pixels.shape

    def window(self, rows: Span, columns: Span | None = None) -> Tensor:
        """(1, C, h, w) float32 in 0..1, channels-last."""
        part = self.pixels[rows.start : rows.stop]
        if columns is not None:
            part = part[:, columns.start : columns.stop]
        tensor = torch.from_numpy(np.ascontiguousarray(part))
        if self.device.type == "cuda":
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.float().div_(full_scale(self.pixels)).permute(2, 0, 1)[None]
