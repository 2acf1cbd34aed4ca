"""The same network run by others, behind one interface: (H, W, 3) uint8 -> (H', W', 3) float32 in 0..1.

Each is made by a function of its own that says by ImportError what is to be installed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from upscaler.architectures import SRVGGNetCompact

Picture = npt.NDArray[np.uint8]
Result = npt.NDArray[np.float32]
Upscale = Callable[[Picture], Result]


def eager(network: SRVGGNetCompact, dtype: torch.dtype, layout: torch.memory_format) -> Upscale:
    """PyTorch as it is, on the whole picture."""
    placed = copy.deepcopy(network).to(dtype).to(memory_format=layout)

    @torch.inference_mode()
    def upscale(picture: Picture) -> Result:
        x = torch.from_numpy(_planes(picture)).to(dtype).contiguous(memory_format=layout)
        return _pixels(placed(x).float().numpy())

    return upscale


def onnxruntime(network: SRVGGNetCompact, threads: int) -> Upscale:
    import onnxruntime

    from benchmarks.onnx_network import onnx_compact

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(onnx_compact(network), options, providers=["CPUExecutionProvider"])
    return lambda picture: _pixels(session.run(None, {"picture": _planes(picture)})[0])


def openvino(network: SRVGGNetCompact, threads: int, precision: str, size: tuple[int, int]) -> Upscale:
    """
    Args:
        precision: in OpenVINO's words, `f32` or `bf16`.
        size: (H, W) of the pictures, which OpenVINO then need not find out each time.
    """
    import openvino

    from benchmarks.onnx_network import onnx_compact

    core = openvino.Core()
    model = core.read_model(onnx_compact(network))
    model.reshape([1, 3, *size])
    hints: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
    }
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    return lambda picture: _pixels(request.infer([_planes(picture)])[0])


def ncnn(network: SRVGGNetCompact, threads: int, folder: Path) -> Upscale:
    from benchmarks.ncnn_network import NcnnCompact

    run = NcnnCompact(network, folder, threads)
    return lambda picture: run(picture.astype(np.float32) / 255)


def _planes(picture: Picture) -> Result:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)


def _pixels(planes: Result) -> Result:
    """(1, 3, H, W) -> a view (H, W, 3)."""
    return planes[0].transpose(1, 2, 0)
