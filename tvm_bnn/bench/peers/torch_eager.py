"""PyTorch in eager mode, float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from tvm_bnn.bench.workloads import Operands, Workload


def float_layer(workload: Workload, operands: Operands, threads: int) -> Callable[[], torch.Tensor]:
    """Return a call of the layer in float32, channels first, as models run it by default."""
    torch.set_num_threads(threads)
    x, weight = (torch.from_numpy(value).permute(0, 3, 1, 2).contiguous() for value in (operands.x, operands.weight))
    window = workload.window
    padding = window.padding[:2]

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return functional.conv2d(x, weight, None, window.strides, padding, window.dilation, workload.groups)

    return call


def network(module: nn.Module, example: torch.Tensor, threads: int) -> Callable[[], torch.Tensor]:
    """Return a call of a network in evaluation mode."""
    torch.set_num_threads(threads)

    def call() -> torch.Tensor:
        with torch.inference_mode():
            result: torch.Tensor = module(example)
            return result

    return call
