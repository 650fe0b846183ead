"""The kernel table: what each kernel means, what it must equal, and which instruction sets it is scheduled for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from schedules.kernels import reference
from schedules.kernels.binary import bconv2d
from schedules.kernels.floats import conv2d, winograd
from schedules.kernels.narrow import bf16, int8
from schedules.machines.isa import ISAS, Isa


@dataclasses.dataclass(frozen=True)
class Kernel:
    """An operator in TIR.

    Parameters
    ----------
    name
        As reports show it.
    anchor
        The reduction block of its functions, which tells them apart from other kernels'.
    meaning
        Builds the unscheduled tensor expression.
    reference
        The same in NumPy, on signs or floats.
    lanes
        Output channels a vector, by instruction set.
    """

    name: str
    anchor: str
    meaning: Callable[..., Any]
    reference: Callable[..., Any]
    lanes: Callable[[Isa], int]


BINARY_CONV2D = Kernel("bconv2d", bconv2d.ANCHOR, bconv2d.bconv2d, reference.conv2d, lambda isa: isa.binary_lanes)
BINARY_DENSE = Kernel("bdense", bconv2d.ANCHOR, bconv2d.bdense, reference.dense, lambda isa: isa.binary_lanes)
BINARY_MATMUL = Kernel("bmatmul", bconv2d.PRODUCT, bconv2d.bmatmul, reference.matmul, lambda isa: isa.binary_lanes)
FLOAT_CONV2D = Kernel("conv2d", conv2d.ANCHOR, conv2d.conv2d, reference.conv2d, lambda isa: isa.float_lanes)
FLOAT_DENSE = Kernel("dense", conv2d.ANCHOR, conv2d.dense, reference.dense, lambda isa: isa.float_lanes)
WINOGRAD_CONV2D = Kernel(
    "conv2d_winograd", winograd.ANCHOR, winograd.conv2d, reference.conv2d, lambda isa: isa.float_lanes
)
INT8_CONV2D = Kernel("conv2d_int8", int8.ANCHOR, int8.conv2d, reference.conv2d, lambda isa: isa.float_lanes)
INT8_DENSE = Kernel("dense_int8", int8.ANCHOR, int8.dense, reference.dense, lambda isa: isa.float_lanes)
BF16_CONV2D = Kernel("conv2d_bf16", bf16.ANCHOR, bf16.conv2d, reference.conv2d, lambda isa: isa.float_lanes)
BF16_DENSE = Kernel("dense_bf16", bf16.ANCHOR, bf16.dense, reference.dense, lambda isa: isa.float_lanes)

KERNELS = (
    *(BINARY_CONV2D, BINARY_DENSE, BINARY_MATMUL, FLOAT_CONV2D, FLOAT_DENSE, WINOGRAD_CONV2D),
    *(INT8_CONV2D, INT8_DENSE, BF16_CONV2D, BF16_DENSE),
)
_OF_ANCHOR: dict[str, tuple[Kernel, ...]] = {
    bconv2d.ANCHOR: (BINARY_CONV2D, BINARY_DENSE),
    bconv2d.PRODUCT: (BINARY_MATMUL, BINARY_MATMUL),
    conv2d.ANCHOR: (FLOAT_CONV2D, FLOAT_DENSE),
    int8.ANCHOR: (INT8_CONV2D, INT8_DENSE),
    bf16.ANCHOR: (BF16_CONV2D, BF16_DENSE),
    winograd.ANCHOR: (WINOGRAD_CONV2D,),
}
ANCHORS = tuple(_OF_ANCHOR)
#: Axes of what a convolution sums, which tells it from a linear layer.
SPATIAL_OF_CONVOLUTION = 4
#: Those whose innermost reduction an instruction does.
NARROW = (int8.ANCHOR, bf16.ANCHOR)
#: Those whose input no tile loads as vectors along the depth.
WITHOUT_LOADS = (*NARROW, winograd.ANCHOR)
#: Every row of the table: each kernel on each instruction set. Tests and benchmarks run them all.
VARIANTS = tuple((kernel, isa) for kernel in KERNELS for isa in ISAS)


def kernel_of(anchor: str, has_window: bool) -> Kernel:
    """Return the kernel of an anchor that slides a window, or does not."""
    return _OF_ANCHOR[anchor][0 if has_window else -1]
