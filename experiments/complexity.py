"""Theoretical complexity: multiply-accumulates and weights, binary and real, and what BiBench says that they save.

Counted by running the network once: every convolution and matrix product belongs to the innermost module that computes
it, and is binary if that is a `BinaryLayer` or a `BinaryMatmul`. What only prepares weights is not counted, as it does
not happen at inference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.binarizers.parts.layer import BinaryLayer, BinaryMatmul, TrainingOnly

if TYPE_CHECKING:  # reports are made of TVM's
    from tvm_bnn.compile.reporting.compilation_report import Report

#: Binary operations in one instruction of 64 bits, and binary weights in the room of one of float32.
WORD, FLOAT = 64, 32


class Complexity(msgspec.Struct, frozen=True):
    """What one call costs.

    Parameters
    ----------
    macs_total, macs_binary
        Multiply-accumulates of all convolutions, linear layers and matrix products, and of those of binary operands.
        A product of several bits, or of several bases, counts once for each pair of bits or bases.
    weights_total, weights_binary
        Weights of those layers, norms and biases included, and those stored in bits (once for each of their bits).
    products_binary
        How many products of binary operands there are.
    """

    macs_total: int
    macs_binary: int
    weights_total: int
    weights_binary: int
    products_binary: int = 0

    @property
    def macs_float(self) -> int:
        """Multiply-accumulates of real operands: |M̂|."""
        return self.macs_total - self.macs_binary

    @property
    def weights_float(self) -> int:
        """Weights that stay real: |Ŵ|."""
        return self.weights_total - self.weights_binary

    @property
    def r_c(self) -> float:
        """Compression of computation, |M| / ((|M| - |M̂|) / 64 + |M̂|) (BiBench, section 4.2)."""
        return self.macs_total / (self.macs_binary / WORD + self.macs_float)

    @property
    def r_s(self) -> float:
        """Compression of storage, |W| / ((|W| - |Ŵ|) / 32 + |Ŵ|) (BiBench, section 4.2)."""
        return self.weights_total / (self.weights_binary / FLOAT + self.weights_float)

    @property
    def operations(self) -> float:
        """Binary multiply-accumulates over 64, plus real ones: OPs as in Bi-Real Net and ReActNet."""
        return self.macs_binary / WORD + self.macs_float


def complexity(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Complexity:
    """Count a network's work on one batch, and its weights.

    Parameters
    ----------
    model
        Of ordinary layers and of those that binarizers make; it is left as it was.
    inputs
        A batch; of one sample, for counts per sample.
    """
    counter = _Counter()
    training = model.training
    with counter.watch(model), torch.no_grad(), counter:
        model.eval()(*inputs)
    model.train(training)
    binary = sum(_weight_bits(module) for module in model.modules())
    total = sum(parameter.numel() for parameter in _kept(model)) + binary
    return Complexity(counter.real + counter.binary, counter.binary, total, binary, counter.products)


def compiled_complexity(report: Report) -> Complexity:
    """Return what a compiled network really computes and stores, from its layers as the compiler found them.

    Multiply-accumulates of a layer on bits count once for each pair of bit planes, which is how often its kernel counts
    bits; weights stored as bits count as binary even where the layer runs in float.
    """
    binary = sum(row.macs * math.prod(row.bit_planes) for row in report.layers)
    real = sum(row.macs for row in report.layers if not row.runs_on_bits)
    bits = [(math.prod(row.weight_shape), max(row.bit_planes[1], int(row.stores_bits))) for row in report.layers]
    stored = sum(count * planes for count, planes in bits)
    kept = sum(count for count, planes in bits if not planes)
    products = sum(row.runs_on_bits for row in report.layers)
    return Complexity(binary + real, binary, stored + kept, stored, products)


def _weight_bits(module: nn.Module) -> int:
    """Return how many bits a binary layer's weights take."""
    if not isinstance(module, BinaryLayer) or module.bits[1] >= FLOAT:
        return 0
    return module.weight.numel() * module.bits[1] * module.weight_bases


def _kept(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that inference needs in float: not latent weights, nor what only serves training."""
    dropped: set[int] = set()
    for module in model.modules():
        if isinstance(module, BinaryLayer) and module.bits[1] < FLOAT:
            dropped |= {id(module.weight), *map(id, module.weights.parameters())}
        if isinstance(module, TrainingOnly):
            dropped |= set(map(id, module.parameters()))
    return (parameter for parameter in model.parameters() if id(parameter) not in dropped)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # PyTorch leaves it without types
    """Adds up the products of a run, by the module that they belong to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.real = self.binary = self.products = 0
        self._modules: list[nn.Module] = []
        self._preparing = 0

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Follow which module runs."""
        preparing = {id(module.weights) for module in model.modules() if isinstance(module, BinaryLayer)}

        def enter(module: nn.Module, _inputs: Any) -> None:
            self._modules.append(module)
            self._preparing += id(module) in preparing

        def leave(module: nn.Module, _inputs: Any, _outputs: Any) -> None:
            self._modules.pop()
            self._preparing -= id(module) in preparing

        handles = [module.register_forward_pre_hook(enter) for module in model.modules()]
        handles += [module.register_forward_hook(leave) for module in model.modules()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        count = _PRODUCTS.get(function.overloadpacket.__name__)
        if count is not None and not self._preparing:
            macs = count(args, result)
            module = self._modules[-1]
            if isinstance(module, BinaryLayer | BinaryMatmul) and max(module.bits) < FLOAT:
                self.binary += macs * math.prod(module.bits)
                self.products += 1
            else:
                self.real += macs
        return result


def _convolution(args: Any, result: torch.Tensor) -> int:
    weight, transposed = args[1], args[6]
    # Each output (of a transposed convolution: each input) meets one filter.
    return int((args[0] if transposed else result).numel() * math.prod(weight.shape[1:]))


def _product(left: int) -> Callable[[Any, torch.Tensor], int]:
    return lambda args, result: int(result.numel() * args[left].shape[-1])


_PRODUCTS: dict[str, Callable[[Any, torch.Tensor], int]] = {
    "convolution": _convolution,
    "mm": _product(0),
    "bmm": _product(0),
    "addmm": _product(1),
    "baddbmm": _product(1),
}
