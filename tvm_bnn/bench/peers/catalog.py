"""The peers, in the order of the tables' columns."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from tvm_bnn.bench.peers import (
    onnx_runtime,
    onnx_runtime_int8,
    open_vino,
    open_vino_binary,
    open_vino_int8,
    torch_eager,
)
from tvm_bnn.bench.workloads import Operands, Workload

Call: TypeAlias = Callable[[], Any]
LayerPeer: TypeAlias = Callable[[Workload, Operands, int], Call]
"""Makes a call of a layer that may use so many threads, or raises ``Unavailable``."""
NetworkPeer: TypeAlias = Callable[[nn.Module, torch.Tensor, int], Call]
"""Makes a call of a network on an example that may use so many threads, or raises ``Unavailable``."""

LAYER_PEERS: dict[str, LayerPeer] = {
    "PyTorch fp32": torch_eager.float_layer,
    "ONNX Runtime fp32": onnx_runtime.float_layer,
    "ONNX Runtime int8": onnx_runtime.int8_layer,
    "OpenVINO fp32": open_vino.float_layer,
    "OpenVINO int8": open_vino.int8_layer,
    "OpenVINO binary": open_vino.binary_layer,
}
#: Run the float twin of a network.
TWIN_PEERS: dict[str, NetworkPeer] = {
    "PyTorch": torch_eager.network,
    "ONNX Runtime": onnx_runtime.network,
    "OpenVINO": open_vino.network,
}
#: Run the binary network itself: its signs as numbers, or in the peer's own binary or int8 convolutions.
BINARY_PEERS: dict[str, NetworkPeer] = {
    "PyTorch": torch_eager.network,
    "OpenVINO": open_vino.network,
    "OpenVINO's bits": open_vino_binary.binary_network,
    "OpenVINO's int8": open_vino_binary.int8_network,
}
#: What runs instead where our float layers are on narrower numbers: who is not exact either, and the fastest who is.
NARROW_TWIN_PEERS: dict[str, NetworkPeer] = {
    "ONNX Runtime int8": onnx_runtime_int8.network,
    "OpenVINO int8": open_vino_int8.network,
}
NARROW_BINARY_PEERS: dict[str, NetworkPeer] = {
    "OpenVINO's bits": open_vino_binary.binary_network,
    "OpenVINO's bits, bf16": functools.partial(open_vino_binary.binary_network, precision="bf16"),
    "OpenVINO's int8, bf16": functools.partial(open_vino_binary.int8_network, precision="bf16"),
}
