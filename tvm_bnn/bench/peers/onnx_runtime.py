"""ONNX Runtime on the CPU: float32, and int8 as ``QLinearConv``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from tvm_bnn.bench.peers.unavailable import Unavailable, require
from tvm_bnn.bench.workloads import Array, Operands, Workload

_OPSET = 18
_IR_VERSION = 10
#: Where uint8 activations have their zero.
_MIDDLE = 128
#: Of activations, weights and results; ±1 is ±64, and sums of thousands of them still fit.
_SCALES = {"x": 1 / 64, "weight": 1 / 64, "y": 1.0}


def float_layer(workload: Workload, operands: Operands, threads: int) -> Callable[[], Any]:
    """Return a call of the layer in float32."""
    require("onnxruntime")
    x, weight = (np.ascontiguousarray(value.transpose(0, 3, 1, 2)) for value in (operands.x, operands.weight))
    return session_call(_model(workload, "Conv", x, {"weight": weight}), x, threads)


def int8_layer(workload: Workload, operands: Operands, threads: int) -> Callable[[], Any]:
    """Return a call of the layer from uint8 to uint8, with int8 weights; what quantizing costs is not in it."""
    require("onnxruntime")
    # Numbers beyond ±2 are cut off: this is timed, not trusted.
    x = np.clip(np.rint(operands.x / _SCALES["x"]) + _MIDDLE, 0, 255).astype(np.uint8).transpose(0, 3, 1, 2)
    weight = np.clip(np.rint(operands.weight / _SCALES["weight"]), -127, 127).astype(np.int8).transpose(0, 3, 1, 2)
    constants = {
        "x_scale": np.float32(_SCALES["x"]),
        "x_zero": np.uint8(_MIDDLE),
        "weight": np.ascontiguousarray(weight),
        "weight_scale": np.float32(_SCALES["weight"]),
        "weight_zero": np.int8(0),
        "y_scale": np.float32(_SCALES["y"]),
        "y_zero": np.uint8(_MIDDLE),
    }
    x = np.ascontiguousarray(x)
    return session_call(_model(workload, "QLinearConv", x, constants), x, threads)


def network(module: nn.Module, example: torch.Tensor, threads: int) -> Callable[[], Any]:
    """Return a call of a network in float32, exported by PyTorch.

    Raises
    ------
    Unavailable
        If a package is missing or the export fails.
    """
    return session_call(exported(module, example).SerializeToString(), example.numpy(), threads)


def exported(module: nn.Module, example: torch.Tensor) -> Any:
    """Return the ONNX model that PyTorch exports.

    Raises
    ------
    Unavailable
        If a package is missing or the export fails.
    """
    require("onnxruntime")
    require("onnxscript", "torch.onnx.export needs it")
    # It tells that torchvision is missing, once for each of its operators.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(module, (example,), dynamo=True, verbose=False)
    except torch.onnx.errors.OnnxExporterError as error:
        raise Unavailable(f"torch.onnx.export failed: {str(error).splitlines()[0]}") from None
    if program is None:
        raise Unavailable("torch.onnx.export returned nothing")
    return program.model_proto


def _model(workload: Workload, operator: str, x: Array, constants: dict[str, Any]) -> bytes:
    """Return a model of one convolution, serialized."""
    require("onnx")
    from onnx import helper, numpy_helper

    window = workload.window
    node = helper.make_node(
        operator,
        ["x", *constants],
        ["y"],
        kernel_shape=window.kernel,
        strides=window.strides,
        pads=window.padding,
        dilations=window.dilation,
        group=workload.groups,
    )
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    serialized: bytes = model.SerializeToString()
    return serialized


def session_call(model: bytes, x: Array, threads: int) -> Callable[[], Any]:
    """Return a call of a serialized model of one input."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Its threads spin between calls, in the time of whoever is measured next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed)[0]
