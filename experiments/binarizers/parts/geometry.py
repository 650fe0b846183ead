"""Shape of a binarized layer, and the product that it computes: 2-D and 1-D convolution, or linear."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch.nn import functional

from schedules.errors import UserError

Kind: TypeAlias = Literal["conv2d", "conv1d", "linear"]
_SPATIAL = {"conv2d": 2, "conv1d": 1, "linear": 0}


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Everything about a layer but its values.

    Parameters
    ----------
    kind
        What it computes.
    inputs, outputs
        Channels or features.
    kernel, stride, padding, dilation
        One number for each spatial axis; empty for a linear layer. Padding is by zeros, *after* binarization.
    groups
        Of channels.
    """

    kind: Kind
    inputs: int
    outputs: int
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1

    def __post_init__(self) -> None:
        """Refuse groups that do not divide the channels."""
        if self.inputs % self.groups or self.outputs % self.groups:
            raise UserError(
                f"{self.kind}: {self.inputs} input and {self.outputs} output channels in {self.groups} groups; "
                "both must divide evenly"
            )

    @property
    def axes(self) -> int:
        """How many spatial axes there are."""
        return _SPATIAL[self.kind]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """``(outputs, inputs / groups, *kernel)``."""
        return (self.outputs, self.inputs // self.groups, *self.kernel)

    def per_channel(self, values: torch.Tensor) -> torch.Tensor:
        """View ``(channels,)`` so that it broadcasts over a batch of the layer's inputs or outputs."""
        return values.view(-1, *(1,) * self.axes)

    def convolve(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the product of inputs ``(N, inputs, *space)`` (linear: ``(..., inputs)``) and a weight."""
        if self.kind == "linear":
            return functional.linear(x, weight)
        convolution = functional.conv2d if self.kind == "conv2d" else functional.conv1d
        return convolution(x, weight, None, self.stride, self.padding, self.dilation, self.groups)


def spread(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """Return one number for each axis."""
    return value if isinstance(value, tuple) else (value,) * axes


def windowed(kind: Kind, inputs: int, outputs: int, shape: Sequence[tuple[int, ...]], groups: int) -> Geometry:
    """Return a convolution's geometry; ``shape`` holds kernel, stride, padding and dilation."""
    kernel, stride, padding, dilation = shape
    return Geometry(kind, inputs, outputs, kernel, stride, padding, dilation, groups)
