"""Compute float convolutions of images, such as a network's first layer, with fewer products.

Before: ``nn.conv2d(x, w)`` NHWC / OHWI of few channels. After: ``bnn.winograd_conv2d(planes, v)``, whose input has its
channels as planes again, which is how it came, and whose weights are those that pairs of columns share.

What :mod:`schedules.kernels.floats.winograd` derives. Layers that would save little, whose rows are shorter than a
vector, or whose rows have an odd length stay as they are; so do weights of two values per output channel, which are
stored as bits.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.images import MOST_PLANES, TO_NCHW, planes_behind
from relay_passes.canonicalize.binarize import window_of_nhwc
from relay_passes.pack.block_float_layers import two_values, weight_to_block
from relay_passes.rewrite import Expr, Rewriter, constant
from schedules.kernels.floats.winograd_taps import taps_of, weights
from schedules.kernels.window import Window
from schedules.machines.isa import Isa

_CONVOLUTION_RANK = 4
#: Below, the transformation of the input takes a good part of what is saved.
_LEAST_CHANNELS = 16
_LEAST_COLUMNS = 16
_LEAST_SAVING = 1.25


class _Winograd(Rewriter):
    def __init__(self, isa: Isa) -> None:
        super().__init__()
        self._lanes = isa.float_lanes

    def call(self, node: relax.Call) -> Expr:
        weight = weight_to_block(node)
        if weight is None or weight.ndim != _CONVOLUTION_RANK or two_values(weight) is not None:
            return node
        window = window_of_nhwc(node)
        if not is_worth_it(weight.shape, dialect.shape_of(node.args[0])[1:3], window):
            return node
        taps = taps_of(window.kernel[1], window.strides[1])
        laid_out = constant(weights(np.asarray(weight), taps, self._lanes))
        return dialect.winograd_conv2d(self._planes(node.args[0]), laid_out, window, len(weight))

    def _planes(self, x: Expr) -> Expr:
        """Return an NHWC tensor as NCHW."""
        planes = planes_behind(self.definition(x))
        return self.emit(relax.op.permute_dims(x, TO_NCHW)) if planes is None else planes


def is_worth_it(weight_shape: tuple[int, ...], size: tuple[int, ...], window: Window) -> bool:
    """Tell whether a float convolution saves enough: ``(O, kernel height, kernel width, C)``, height and width."""
    channels, _, kernel, depth = weight_shape
    height, width = size
    columns = window.axes(height, width)[1].out
    if window.dilation[1] > 1 or columns % 2 or columns < _LEAST_COLUMNS:
        return False
    saving = taps_of(kernel, window.strides[1]).saving
    return depth <= MOST_PLANES and channels >= _LEAST_CHANNELS and saving >= _LEAST_SAVING


def winograd_convolutions(module: tvm.IRModule, isa: Isa) -> tvm.IRModule:
    """Rewrite float convolutions of few channels with constant weights for the vector width of ``isa``."""
    return _Winograd(isa).run(module)
