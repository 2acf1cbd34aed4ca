"""An SRVGGNetCompact as a network of ncnn: another implementation, to compare with and to time.

ncnn reads a text file of layers and a binary file of numbers (Tencent/ncnn, docs/developer-guide,
"param and model file structure"); both are written here from the weights.
"""

from __future__ import annotations

from pathlib import Path

import ncnn
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from upscaler.architectures import SRVGGNetCompact

MAGIC = 7767517
FLOAT32_TAG = np.zeros(1, np.uint32)  # stands before a convolution's weights: they are float32


class NcnnCompact:
    """(H, W, 3) float32 in 0..1 -> (H * scale, W * scale, 3), computed by ncnn in float32."""

    def __init__(self, network: SRVGGNetCompact, folder: Path, threads: int = 0):
        """
        Args:
            folder: where ncnn's two files are written.
            threads: 0 leaves the number to ncnn.
        """
        param, weights = folder / "network.param", folder / "network.bin"
        param.write_text(_layers(network))
        weights.write_bytes(_numbers(network))
        self.net = ncnn.Net()
        for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(self.net.opt, f"use_{option}", False)
        if threads:
            self.net.opt.num_threads = threads
        self.net.load_param(str(param))
        self.net.load_model(str(weights))

    def __call__(self, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1))  # ncnn reads this array, and keeps no reference
        with self.net.create_extractor() as extractor:
            extractor.input("picture", ncnn.Mat(planes))
            _, result = extractor.extract("result")
            return np.array(result).transpose(1, 2, 0)


def _layers(network: SRVGGNetCompact) -> str:
    """Columns: type, name, numbers of inputs and outputs, their names, then numbered parameters."""
    lines = ["Input picture 0 1 picture", "Split fork 1 2 picture x0 base"]
    for index, module in enumerate(network.body):
        names = f"layer{index} 1 1 x{index} x{index + 1}"
        if isinstance(module, nn.Conv2d):
            size = module.weight.numel()
            lines.append(f"Convolution {names} 0={module.out_channels} 1=3 4=1 5=1 6={size}")
        elif isinstance(module, nn.PReLU):
            lines.append(f"PReLU {names} 0={module.weight.numel()}")
    lines += [
        f"PixelShuffle shuffle 1 1 x{len(network.body)} residual 0={network.scale}",
        f"Interp nearest 1 1 base enlarged 0=1 1={network.scale}.0 2={network.scale}.0",
        "BinaryOp add 2 1 residual enlarged result 0=0",
    ]
    blobs = len(lines) + 1  # every layer makes one, the fork two
    return f"{MAGIC}\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n"


def _numbers(network: SRVGGNetCompact) -> bytes:
    parts = []
    for module in network.body:
        if isinstance(module, nn.Conv2d):
            parts.append(FLOAT32_TAG.tobytes())
        parts += [_float32(parameter) for parameter in module.parameters()]
    return b"".join(parts)


def _float32(parameter: torch.Tensor) -> bytes:
    return parameter.detach().float().numpy().tobytes()
