"""The single layers that are measured: shapes of well-known networks, and shapes that hurt."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from schedules.kernels.window import Window

Array = npt.NDArray[Any]
SEED = 0
_SAME = Window((3, 3), padding=(1, 1, 1, 1))
_HALF = Window((3, 3), (2, 2), (1, 1, 1, 1))
_POINT = Window((1, 1))


@dataclasses.dataclass(frozen=True)
class Workload:
    """One convolution over an image of batch 1.

    Parameters
    ----------
    name
        As tables show it.
    height, width, channels
        Of the input.
    outputs
        Channels of the result.
    window, groups
        Geometry; the padding is the same on opposite sides.
    binary
        From packed bits over a threshold per channel to packed bits, or from float32 to float32.
    """

    name: str
    height: int
    width: int
    channels: int
    outputs: int
    window: Window = _SAME
    groups: int = 1
    binary: bool = True

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Output channels first, channels last."""
        return (self.outputs, *self.window.kernel, self.channels // self.groups)

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those with padding included."""
        vertical, horizontal = self.window.axes(self.height, self.width)
        return vertical.out * horizontal.out * math.prod(self.weight_shape)


@dataclasses.dataclass(frozen=True)
class Operands:
    """What a workload is run on.

    ``x`` is ``(1, H, W, C)`` and ``weight`` ``(O, kernel height, kernel width, C / groups)``, float32: ±1 if the layer
    is binary. ``tau`` (int32) and ``flip`` are per output channel: the result's bits are ``(dot >= tau) xor flip``.
    """

    x: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    tau: npt.NDArray[np.int32]
    flip: npt.NDArray[np.bool_]


def operands_of(workload: Workload) -> Operands:
    """Draw a workload's operands; thresholds lie where about half of the results are on either side."""
    rng = np.random.default_rng(SEED)
    shape = (1, workload.height, workload.width, workload.channels)

    def draw(size: tuple[int, ...]) -> npt.NDArray[np.float32]:
        values = rng.standard_normal(size, np.float32)
        return np.where(values < 0, np.float32(-1), np.float32(1)) if workload.binary else values

    deviation = round(math.sqrt(math.prod(workload.weight_shape[1:])))
    tau = rng.integers(-deviation, deviation + 1, workload.outputs, np.int32)
    return Operands(draw(shape), draw(workload.weight_shape), tau, rng.random(workload.outputs) < _FLIPPED)


#: Batch norms with a negative slope turn a comparison around; some channels of a trained network have one.
_FLIPPED = 0.25

WORKLOADS = (
    Workload("3x3 56x56x64", 56, 56, 64, 64),
    Workload("3x3 28x28x128", 28, 28, 128, 128),
    Workload("3x3 14x14x256", 14, 14, 256, 256),
    Workload("3x3 7x7x512", 7, 7, 512, 512),
    Workload("1x1 28x28x256", 28, 28, 256, 256, _POINT),
    Workload("3x3/2 56x56x64 to 128", 56, 56, 64, 128, _HALF),
    Workload("3x3/2 14x14x256 to 512", 14, 14, 256, 512, _HALF),
    Workload("3x3 28x28x128, 4 groups", 28, 28, 128, 128, groups=4),
    Workload("3x3 28x28x128, dilated", 28, 28, 128, 128, Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2))),
    Workload("3x3 13x17x96", 13, 17, 96, 96),
    Workload("3x3 28x28x100", 28, 28, 100, 100),
    Workload("float 7x7/2 224x224x3 to 64", 224, 224, 3, 64, Window((7, 7), (2, 2), (3, 3, 3, 3)), binary=False),
    Workload("float 1x1 28x28x64 to 128", 28, 28, 64, 128, _POINT, binary=False),
)
