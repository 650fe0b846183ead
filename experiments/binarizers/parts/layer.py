"""A layer whose operands are binarized: latent weights, what binarizes both operands, and the scale behind the product.

The three parts are modules of their own, one class each in a binarizer's file, so that everything that counts or looks
for products can tell the layer's own one from those that only prepare a weight or a scale.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn

from experiments.binarizers.parts.geometry import Geometry


class ScaledSigns(NamedTuple):
    """A binarized operand whose scale is multiplied behind the product.

    Sums of signs and other small integers are exact in float32 and sums of ±α are not: where as many of them are
    positive as negative, rounding would decide the next sign, differently on every machine.

    Parameters
    ----------
    signs
        Of the operand's shape, of few values.
    scale
        Of weights ``(outputs,)``; or a scalar.
    """

    signs: torch.Tensor
    scale: torch.Tensor


class _Operand(NamedTuple):
    signs: torch.Tensor
    scale: torch.Tensor | None


def scaled(operand: torch.Tensor | ScaledSigns) -> _Operand:
    """Return an operand's values and its scale, None if it has none."""
    return _Operand(*operand) if isinstance(operand, ScaledSigns) else _Operand(operand, None)


class TrainingOnly(nn.Module):
    """Marks a part that inference does without: neither its work nor its parameters count."""


class Unscaled(nn.Module):
    """Leaves the product alone."""

    def forward(self, product: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the product; ``x`` is the layer's input, as scales of other methods need it."""
        del x
        return product


class Real(nn.Module):
    """Leaves an operand alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the operand."""
        return x


class RealScaled(nn.Module):
    """Leaves weights alone, with a scale of one, where a layer wants scaled ones."""

    def forward(self, w: torch.Tensor) -> ScaledSigns:
        """Return the weights and ones."""
        return ScaledSigns(w, torch.ones(len(w), dtype=w.dtype, device=w.device))


class BinaryLayer(nn.Module):
    """``scale(inputs(x) * weights(w), x) + bias``, in which ``*`` is the convolution or linear map.

    Parameters
    ----------
    geometry
        The layer's shape.
    inputs, weights
        Binarize an operand: a tensor in, a tensor of few values or `ScaledSigns` out.
    scale
        Takes the product and the layer's input.
    bias
        Whether a real number per output is added behind the scale.
    bits
        Bits of an input value and of a weight; 32 where that operand stays real.
    """

    def __init__(
        self,
        geometry: Geometry,
        inputs: nn.Module,
        weights: nn.Module,
        scale: nn.Module,
        *,
        bias: bool = False,
        bits: tuple[int, int] = (1, 1),
    ) -> None:
        """Draw latent weights from N(0, 1 / fan-in): both signs, and within the estimators' windows."""
        super().__init__()
        self.geometry = geometry
        self.bits = bits
        self.weight = nn.Parameter(torch.randn(geometry.weight_shape) / math.sqrt(math.prod(geometry.weight_shape[1:])))
        self.inputs, self.weights, self.scale = inputs, weights, scale
        self.bias = nn.Parameter(torch.zeros(geometry.outputs)) if bias else None

    @property
    def weight_bases(self) -> int:
        """How many binary tensors one weight becomes."""
        return 1

    @property
    def real_weights(self) -> nn.Module:
        """What stands for ``weights`` while weights are real: the latent ones, in the form that the product takes."""
        return Real()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands, multiply, scale, add."""
        y: torch.Tensor = self.scale(self.product(x), x)
        return y if self.bias is None else y + self.geometry.per_channel(self.bias)

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product of the binarized operands."""
        inputs, weights = scaled(self.inputs(x)), scaled(self.weights(self.weight))
        product = self.geometry.convolve(inputs.signs, weights.signs)
        if inputs.scale is not None:
            product = product * inputs.scale
        return product if weights.scale is None else product * self.geometry.per_channel(weights.scale)

    def extra_repr(self) -> str:
        """Show the shape in a printed model."""
        return f"{self.geometry.kind}, {self.geometry.inputs} -> {self.geometry.outputs}"


@torch.no_grad()
def clip_latent_weights(model: nn.Module) -> None:
    """Clip the latent weights of all binary layers to [-1, 1]: beyond, they would take ever longer to change sign."""
    for module in model.modules():
        if isinstance(module, BinaryLayer):
            module.weight.clamp_(-1, 1)


class BinaryMatmul(nn.Module):
    """Product of two activations, both binarized."""

    def __init__(self, left: nn.Module, right: nn.Module, bits: tuple[int, int] = (1, 1)) -> None:
        """Take what binarizes either operand."""
        super().__init__()
        self.left, self.right = left, right
        self.bits = bits

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Multiply ``(..., M, K)`` by ``(..., K, N)``."""
        return torch.matmul(self.left(left), self.right(right))
