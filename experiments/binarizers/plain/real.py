"""No binarization: ordinary layers, so that the float twin of a network is built by the same code."""

from __future__ import annotations

from torch import nn

from experiments.binarizers.parts.binarizer import REAL_BITS, Binarizer
from experiments.binarizers.parts.geometry import Geometry
from experiments.binarizers.parts.layer import Real


class Float(Binarizer):
    """PyTorch's own layers; ReLU between them."""

    name = "float"
    paper = "none: the reference"
    bits = (REAL_BITS, REAL_BITS)

    def inputs(self, geometry: Geometry) -> nn.Module:
        """Leave inputs alone."""
        del geometry
        return Real()

    def weights(self, geometry: Geometry) -> nn.Module:
        """Leave weights alone."""
        del geometry
        return Real()

    def layer(self, geometry: Geometry, bias: bool) -> nn.Module:
        """Return PyTorch's layer of that shape."""
        if geometry.kind == "linear":
            return nn.Linear(geometry.inputs, geometry.outputs, bias=bias)
        make: type[nn.Conv2d | nn.Conv1d] = nn.Conv2d if geometry.kind == "conv2d" else nn.Conv1d
        return make(
            geometry.inputs,
            geometry.outputs,
            geometry.kernel,  # type: ignore[arg-type]  # tuples of the right length
            geometry.stride,  # type: ignore[arg-type]
            geometry.padding,  # type: ignore[arg-type]
            geometry.dilation,  # type: ignore[arg-type]
            geometry.groups,
            bias=bias,
        )

    def nonlinearity(self, channels: int) -> nn.Module:
        """Return ReLU."""
        del channels
        return nn.ReLU()
