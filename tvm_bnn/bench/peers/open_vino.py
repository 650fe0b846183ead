"""OpenVINO on the CPU: float32, int8, and its binary convolution."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import nn

from tvm_bnn.bench.peers.unavailable import Unavailable, require
from tvm_bnn.bench.workloads import Array, Operands, Workload

Precision: TypeAlias = Literal["f32", "bf16"]
#: Of a quantizer to 8 bits: all values, and the symmetric ones that weights use.
ALL, SYMMETRIC = 256, 255
_TWO = 2


def float_layer(workload: Workload, operands: Operands, threads: int) -> Callable[[], Any]:
    """Return a call of the layer in float32."""
    ops, x = opset(), _channels_first(operands.x)
    weight = ops.constant(_channels_first(operands.weight))
    parameter = ops.parameter(x.shape, np.float32)
    return _bound(_convolution(workload, parameter, weight), parameter, x, threads)


def int8_layer(workload: Workload, operands: Operands, threads: int) -> Callable[[], Any]:
    """Return a call of the layer in int8 with float32 at both ends: quantizing the input is part of it."""
    ops, x, weight = opset(), _channels_first(operands.x), _channels_first(operands.weight)
    parameter = ops.parameter(x.shape, np.float32)
    bytes_in = quantized(parameter, float(np.abs(x).max()), ALL)
    weights = quantized(ops.constant(weight), float(np.abs(weight).max()), SYMMETRIC)
    return _bound(_convolution(workload, bytes_in, weights), parameter, x, threads)


def binary_layer(workload: Workload, operands: Operands, threads: int) -> Callable[[], Any]:
    """Return a call of ``BinaryConvolution``, with float32 at both ends: taking the input's signs is part of it.

    Raises
    ------
    Unavailable
        If the layer is float or grouped.
    """
    ops, x, weight = opset(), _channels_first(operands.x), _channels_first(operands.weight)
    if not workload.binary or workload.groups > 1:
        raise Unavailable("OpenVINO's BinaryConvolution takes ungrouped binary layers only")
    import openvino

    parameter = ops.parameter(x.shape, np.float32)
    zero, one = ops.constant(np.float32(0)), ops.constant(np.float32(1))
    signs = ops.fake_quantize(parameter, zero, zero, zero, one, _TWO)
    window = workload.window
    top, left, bottom, right = window.padding
    product = openvino.opset1.binary_convolution(
        signs,
        bit_constant(weight),
        list(window.strides),
        [top, left],
        [bottom, right],
        list(window.dilation),
        "xnor-popcount",
        0.0,
    )
    return _bound(product, parameter, x, threads)


def bit_constant(signs: Array) -> Any:
    """Return the node of a tensor of ±1 that has a bit for each."""
    import openvino

    # The tensor only borrows the array; the constant has to have a copy.
    # The plugin reads the bits of a byte from the least significant on, 1 for +1; constants made of a list are not so.
    packed = np.packbits(signs.reshape(-1) > 0, bitorder="little")
    return openvino.op.Constant(
        openvino.Tensor(packed, openvino.Shape(signs.shape), openvino.Type.u1), shared_memory=False
    )


def network(module: nn.Module, example: torch.Tensor, threads: int) -> Callable[[], Any]:
    """Return a call of a network in float32, converted from PyTorch's exported program.

    Raises
    ------
    Unavailable
        If OpenVINO is missing or cannot convert the network.
    """
    return infer(converted(module, example), example.numpy(), threads)


def converted(module: nn.Module, example: torch.Tensor) -> Any:
    """Return OpenVINO's model of a network, with what is constant folded.

    Raises
    ------
    Unavailable
        If OpenVINO is missing or cannot convert the network.
    """
    require("openvino")
    import openvino
    from openvino.passes import ConstantFolding, Manager

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,)).run_decompositions()
            model = openvino.convert_model(program, example_input=(example,))
    except (RuntimeError, openvino.frontend.OpConversionFailure) as error:
        raise Unavailable(f"openvino.convert_model failed: {str(error).splitlines()[0]}") from None
    model.reshape(list(example.shape))
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)
    return model


def opset() -> Any:
    """Return OpenVINO's operators.

    Raises
    ------
    Unavailable
        If OpenVINO is not installed.
    """
    require("openvino")
    import openvino.opset13

    return openvino.opset13


def _convolution(workload: Workload, x: Any, weight: Any) -> Any:
    """Return the node of an ordinary or a grouped convolution."""
    ops, window, groups = opset(), workload.window, workload.groups
    top, left, bottom, right = window.padding
    geometry = (list(window.strides), [top, left], [bottom, right], list(window.dilation))
    if groups == 1:
        return ops.convolution(x, weight, *geometry)
    outputs, height, width, depth = workload.weight_shape
    shape = ops.constant(np.array([groups, outputs // groups, depth, height, width]))
    return ops.group_convolution(x, ops.reshape(weight, shape, special_zero=False), *geometry)


def quantized(x: Any, largest: float, levels: int) -> Any:
    """Return a node that OpenVINO takes for 8-bit quantization of ±largest."""
    ops = opset()
    # Zero must be one of the levels: 256 of them reach one step further down than up.
    lowest = -largest * (levels // 2) / ((levels - 1) // 2)
    low, high = ops.constant(np.float32(lowest)), ops.constant(np.float32(largest))
    return ops.fake_quantize(x, low, high, low, high, levels)


def _channels_first(value: Array) -> Array:
    return np.ascontiguousarray(value.transpose(0, 3, 1, 2))


def _bound(result: Any, parameter: Any, x: Array, threads: int) -> Callable[[], Any]:
    import openvino

    return infer(openvino.Model([result], [parameter], "layer"), x, threads)


def infer(model: Any, x: Array, threads: int, precision: Precision = "f32") -> Callable[[], Any]:
    """Compile and bind the input; float32 has to be asked for, or newer processors compute in bfloat16.

    Raises
    ------
    Unavailable
        If bfloat16 is asked for, and this processor does not multiply it.
    """
    import openvino

    if precision == "bf16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unavailable("OpenVINO computes in bfloat16 only where the processor multiplies it")
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    # A copy: a tensor that shares an array's memory does not keep the array.
    request.set_input_tensor(openvino.Tensor(x))

    def call() -> Any:
        # Spares infer()'s dictionary of results.
        request.start_async()
        request.wait()
        return request.get_output_tensor()

    return call
