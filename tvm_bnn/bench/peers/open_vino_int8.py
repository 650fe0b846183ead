"""Whole float networks in OpenVINO's int8: what somebody without binary kernels would deploy if bytes will do.

OpenVINO computes a layer on bytes where quantizers stand before both of its operands. The tool that puts them there,
NNCF, is another package; here they are put before every convolution and linear layer, activations by the range that the
example shows, weights by that of each channel. Who else reads a quantized value, as shortcuts do, reads it as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from tvm_bnn.bench.peers import open_vino

#: Axes of a weight that are left once its output channels are taken.
_WITHIN_CHANNEL = {"Convolution": (1, 2, 3), "GroupConvolution": (2, 3, 4)}
_LAYERS = frozenset({*_WITHIN_CHANNEL, "MatMul"})


def network(module: nn.Module, example: torch.Tensor, threads: int) -> Callable[[], Any]:
    """Return a call of a float network whose convolutions and linear layers run in int8.

    Raises
    ------
    Unavailable
        If OpenVINO is missing or cannot convert the network.
    """
    model = open_vino.converted(module, example)
    layers = [node for node in model.get_ordered_ops() if _has_weight(node)]
    read = {_name(node.input_value(0)): node.input_value(0) for node in layers}
    ranges = _ranges(list(read.values()), model, example.numpy())
    for node in layers:
        _quantize_weight(node)
    for output, (least, most) in zip(read.values(), ranges, strict=True):
        _quantize_output(output, least, most)
    model.validate_nodes_and_infer_types()
    return open_vino.infer(model, example.numpy(), threads)


def _has_weight(node: Any) -> bool:
    return node.get_type_name() in _LAYERS and node.input_value(1).get_node().get_type_name() == "Constant"


def _name(output: Any) -> str:
    return f"{output.get_node().get_friendly_name()}:{output.get_index()}"


def _ranges(outputs: list[Any], model: Any, x: np.ndarray) -> list[tuple[float, float]]:
    """Return the smallest and the largest value of each output, on one example."""
    import openvino

    observed = openvino.Model(outputs, model.get_parameters(), "observed")
    results = openvino.Core().compile_model(observed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)
    return [(float(results[index].min()), float(results[index].max())) for index in range(len(outputs))]


def _quantize_weight(node: Any) -> None:
    """Put a quantizer of 8 bits behind a weight, with a step for each output channel."""
    ops, weight = open_vino.opset(), node.input_value(1)
    axes = _WITHIN_CHANNEL.get(node.get_type_name())
    largest = np.abs(weight.get_node().get_data()).max(axis=axes, keepdims=True).astype(np.float32)
    high, low = ops.constant(largest), ops.constant(-largest)
    node.input(1).replace_source_output(ops.fake_quantize(weight, low, high, low, high, open_vino.SYMMETRIC).output(0))


def _quantize_output(output: Any, least: float, most: float) -> None:
    """Put a quantizer of 8 bits between an output and all that read it."""
    ops, readers = open_vino.opset(), output.get_target_inputs()
    if least < 0:
        quantizer = open_vino.quantized(output, max(most, -least), open_vino.ALL)
    else:
        low, high = ops.constant(np.float32(0)), ops.constant(np.float32(most))
        quantizer = ops.fake_quantize(output, low, high, low, high, open_vino.ALL)
    for reader in readers:
        reader.replace_source_output(quantizer.output(0))
