"""An SRVGGNetCompact as an ONNX graph, for the engines that read such: onnxruntime and OpenVINO."""

from __future__ import annotations

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from upscaler.architectures import SRVGGNetCompact

OPSET = 17
PICTURE = ["n", 3, "h", "w"]  # sizes left open


def onnx_compact(network: SRVGGNetCompact) -> bytes:
    """The serialized model: input `picture` and output `result`, (N, 3, H, W) float32 in 0..1."""
    nodes, numbers = [], []

    def constant(name: str, tensor: torch.Tensor) -> str:
        numbers.append(numpy_helper.from_array(tensor.detach().numpy(), name))
        return name

    x = "picture"
    for index, module in enumerate(network.body):
        if isinstance(module, nn.Conv2d):
            inputs = [x, constant(f"weight{index}", module.weight), constant(f"bias{index}", module.bias)]
            nodes.append(helper.make_node("Conv", inputs, [f"x{index}"], pads=[1, 1, 1, 1]))
        else:
            slope = constant(f"slope{index}", module.weight[:, None, None])
            nodes.append(helper.make_node("PRelu", [x, slope], [f"x{index}"]))
        x = f"x{index}"
    factors = constant("factors", torch.tensor([1.0, 1.0, network.scale, network.scale]))
    nodes += [
        helper.make_node("DepthToSpace", [x], ["residual"], blocksize=network.scale, mode="CRD"),
        helper.make_node(
            "Resize",
            ["picture", "", factors],
            ["enlarged"],
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        helper.make_node("Add", ["residual", "enlarged"], ["result"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "SRVGGNetCompact",
        [value("picture", TensorProto.FLOAT, PICTURE)],
        [value("result", TensorProto.FLOAT, ["n", 3, "hs", "ws"])],
        numbers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
