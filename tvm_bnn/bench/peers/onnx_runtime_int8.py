"""Whole float networks in ONNX Runtime's int8, by its own static quantization."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tvm_bnn.bench.peers import onnx_runtime


def network(module: nn.Module, example: torch.Tensor, threads: int) -> Callable[[], Any]:
    """Return a call of a float network in int8: uint8 activations by the example's ranges, int8 weights by channels.

    Raises
    ------
    Unavailable
        If a package is missing or the export fails.
    """
    model = onnx_runtime.exported(module, example)
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Example(CalibrationDataReader):  # type: ignore[misc]
        """Gives the one example."""

        def __init__(self) -> None:
            self._left = [{model.graph.input[0].name: example.numpy()}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self._left.pop() if self._left else None

    with _without_advice(), tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        path = Path(folder) / "network.onnx"
        quantize_static(
            model,
            path,
            Example(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantized = path.read_bytes()
    return onnx_runtime.session_call(quantized, example.numpy(), threads)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep it from advising, in the root logger, to simplify the model by a tool that needs yet another package."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
