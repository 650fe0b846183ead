"""What a binarization method is: how it binarizes inputs and weights, how it scales, what changes over epochs."""

from __future__ import annotations

import abc

from torch import nn

from experiments.binarizers.parts.estimators import ClippedSign
from experiments.binarizers.parts.geometry import Geometry, spread, windowed
from experiments.binarizers.parts.layer import BinaryLayer, BinaryMatmul, Real, Unscaled


class Binarizer(abc.ABC):
    """One method, without state: layers hold what is learned.

    Attributes
    ----------
    name
        As tables and the command line call it.
    paper
        Its citation.
    bits
        Of an input value and of a weight; 32 where that operand stays real.
    """

    name: str
    paper: str
    bits: tuple[int, int] = (1, 1)

    @abc.abstractmethod
    def inputs(self, geometry: Geometry) -> nn.Module:
        """Return what binarizes a layer's input."""

    @abc.abstractmethod
    def weights(self, geometry: Geometry) -> nn.Module:
        """Return what binarizes a layer's latent weights."""

    def scale(self, geometry: Geometry) -> nn.Module:
        """Return what scales a layer's product; nothing by default."""
        del geometry
        return Unscaled()

    def layer(self, geometry: Geometry, bias: bool) -> nn.Module:
        """Return a layer of that shape."""
        parts = self.inputs(geometry), self.weights(geometry), self.scale(geometry)
        return BinaryLayer(geometry, *parts, bias=bias, bits=self.bits)

    def conv2d(
        self,
        cin: int,
        cout: int,
        kernel: int | tuple[int, ...],
        *,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> nn.Module:
        """Return a 2-D convolution; zero padding, so a padded tap contributes nothing."""
        shape = [spread(value, 2) for value in (kernel, stride, padding, dilation)]
        return self.layer(windowed("conv2d", cin, cout, shape, groups), bias)

    def conv1d(
        self,
        cin: int,
        cout: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> nn.Module:
        """Return a 1-D convolution over ``(N, cin, length)``."""
        shape = [spread(value, 1) for value in (kernel, stride, padding, dilation)]
        return self.layer(windowed("conv1d", cin, cout, shape, groups), bias)

    def linear(self, fin: int, fout: int, *, bias: bool = False) -> nn.Module:
        """Return a linear layer over the last axis."""
        return self.layer(Geometry("linear", fin, fout), bias)

    @property
    def binary_activations(self) -> bool:
        """Whether activations are binarized at all."""
        return self.bits[0] < REAL_BITS

    def activation(self) -> nn.Module:
        """Return a binarization of activations that knows nothing of channels, as products of two of them want it."""
        return ClippedSign() if self.binary_activations else Real()

    def matmul(self) -> nn.Module:
        """Return a product of two activations."""
        bits = (1, 1) if self.binary_activations else (REAL_BITS, REAL_BITS)
        return BinaryMatmul(self.activation(), self.activation(), bits)

    def attend(self, weights: nn.Module) -> nn.Module:
        """Return a product of attention weights, which ``weights`` binarizes, and values."""
        if not self.binary_activations:
            return self.matmul()
        return BinaryMatmul(weights, self.activation())

    def nonlinearity(self, channels: int) -> nn.Module:
        """Return what stands between two layers, besides norms: Hardtanh, unless the method has its own."""
        del channels
        return nn.Hardtanh()

    def on_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Set whatever depends on the progress of training, before epoch ``epoch`` (from 0) of ``epochs``."""
        del model, epoch, epochs

    def on_update(self, model: nn.Module) -> None:
        """Do to latent weights what the method does to them after each update; nothing by default."""
        del model


#: Bits of a value that stays real.
REAL_BITS = 32
