"""Whole binary networks in OpenVINO's own binary or int8 convolutions, with everything else in float32 or bfloat16.

OpenVINO converts a binary network as the float simulation that it is. Here every convolution of signs with weights of
±alpha per output channel is replaced, in its graph, by what OpenVINO has that is faster, and alpha multiplied after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from tvm_bnn.bench.peers import open_vino
from tvm_bnn.bench.peers.open_vino import Precision
from tvm_bnn.bench.peers.unavailable import Unavailable

#: Levels of a quantizer to 8 bits that has zero among its values, and of one to a bit.
_SYMMETRIC, _TWO = 255, 2
_Replace = Callable[[Any, Any, np.ndarray], Any]


def binary_network(
    module: nn.Module, example: torch.Tensor, threads: int, precision: Precision = "f32"
) -> Callable[[], Any]:
    """Return a call of a binary network whose binary layers run in ``BinaryConvolution``.

    Raises
    ------
    Unavailable
        If OpenVINO is missing, cannot convert the network, or the network has no binary convolution.
    """
    return _replaced(module, example, threads, precision, _binary)


def int8_network(
    module: nn.Module, example: torch.Tensor, threads: int, precision: Precision = "f32"
) -> Callable[[], Any]:
    """Return a call of a binary network whose binary layers run in int8, signs being ±1 there.

    Raises
    ------
    Unavailable
        As for :func:`binary_network`.
    """
    return _replaced(module, example, threads, precision, _int8)


def _replaced(
    module: nn.Module, example: torch.Tensor, threads: int, precision: Precision, replace: _Replace
) -> Callable[[], Any]:
    model = open_vino.converted(module, example)
    found = [node for node in model.get_ordered_ops() if _is_binary(node)]
    if not found:
        raise Unavailable("the network has no convolution of signs with binary weights")
    for node in found:
        weight = node.input_value(1).get_node().get_data()
        alpha = np.abs(weight).reshape(len(weight), -1)[:, 0]
        made = replace(node, node.input_value(0).get_node(), np.sign(weight))
        scaled = open_vino.opset().multiply(made, open_vino.opset().constant(alpha.reshape(1, -1, 1, 1)))
        node.output(0).replace(scaled.output(0))
    model.validate_nodes_and_infer_types()
    return open_vino.infer(model, example.numpy(), threads, precision)


def _is_binary(node: Any) -> bool:
    """Tell whether a node convolves what ``Sign`` returns with weights that differ in sign only, in each channel."""
    if node.get_type_name() != "Convolution" or node.input_value(0).get_node().get_type_name() != "Sign":
        return False
    weight = node.input_value(1).get_node()
    if weight.get_type_name() != "Constant":
        return False
    magnitude = np.abs(weight.get_data()).reshape(weight.get_output_shape(0)[0], -1)
    return bool((magnitude[:, :1] > 0).all() and np.allclose(magnitude, magnitude[:, :1], rtol=1e-6, atol=0))


def _geometry(node: Any) -> tuple[list[int], list[int], list[int], list[int]]:
    attributes = node.get_attributes()
    return tuple(list(attributes[name]) for name in ("strides", "pads_begin", "pads_end", "dilations"))  # type: ignore[return-value]


def _binary(node: Any, sign: Any, weight: np.ndarray) -> Any:
    import openvino

    ops = open_vino.opset()
    zero, one = ops.constant(np.float32(0)), ops.constant(np.float32(1))
    bits = ops.fake_quantize(sign.input_value(0), zero, zero, zero, one, _TWO)
    strides, begin, end, dilations = _geometry(node)
    return openvino.opset1.binary_convolution(
        bits, open_vino.bit_constant(weight), strides, begin, end, dilations, "xnor-popcount", 0.0
    )


def _int8(node: Any, sign: Any, weight: np.ndarray) -> Any:
    ops = open_vino.opset()
    low, high = ops.constant(np.float32(-1)), ops.constant(np.float32(1))
    signs = ops.fake_quantize(sign, low, high, low, high, _SYMMETRIC)
    weights = ops.fake_quantize(ops.constant(weight.astype(np.float32)), low, high, low, high, _SYMMETRIC)
    return ops.convolution(signs, weights, *_geometry(node))
