"""One entry of the acceptance set: a compact model, an input, and how much of it is binary."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

Inputs: TypeAlias = tuple[torch.Tensor, ...]

CALIBRATION_BATCHES = 16
NEGATIVE_GAINS = 0.3


def leave(module: nn.Module) -> None:
    """Do nothing: most families need no preparation."""


@dataclasses.dataclass(frozen=True)
class Family:
    """A model with what is known about it.

    Attributes
    ----------
    name
        The family and what sets this member apart.
    idiom
        How the code spells its binarization, in one line.
    network
        Returns the model with whatever random parameters its constructors draw.
    inputs
        Returns the same operands on every call; fresh tensors, as some families write into them.
    binary_layers
        Convolutions, linears and matrix products of one inference whose two operands are both binary: one of two
        values (and zero at a border or a tie), up to a scale per weight row and per sample or activation row.
    plane_layers
        Layers that run as sums of bit planes though they are not binary: both operands take few values.
    total_layers
        Those, and all others that read the input; a layer that runs twice counts twice.
    exports
        Whether ``torch.export.export(model, inputs, strict=False)`` yields the same function as it stands.
    notes
        What a reader would wonder about.
    prepare
        What the family's training script does to the parameters before an evaluation.
    """

    name: str
    idiom: str
    network: Callable[[], nn.Module]
    inputs: Callable[[], Inputs]
    binary_layers: int
    total_layers: int
    exports: bool = True
    notes: str = ""
    plane_layers: int = 0
    prepare: Callable[[nn.Module], None] = leave

    def build(self) -> nn.Module:
        """Return the model in evaluation mode, the same on every call, and leave the global generator alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = self.network()
        randomize(module, seed=1)
        self.prepare(module)
        calibrate(module, self.inputs(), seed=2)
        return module


def normal(*shape: int) -> Callable[[], Inputs]:
    """Return a function that draws one float32 tensor of ``shape`` from N(0, 1), always the same."""

    def draw() -> Inputs:
        return (torch.randn(shape, generator=torch.Generator().manual_seed(0)),)

    return draw


def resample(inputs: Inputs, seed: int) -> Inputs:
    """Return other operands of the same kind: fresh N(0, 1) for floats, the last axis shuffled for integers."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(operand.shape, generator=generator)
        if operand.is_floating_point()
        else operand[..., torch.randperm(operand.shape[-1], generator=generator)]
        for operand in inputs
    )


def randomize(module: nn.Module, seed: int) -> None:
    """Give every standard layer parameters like those of a trained net: no symmetry, no degenerate sign.

    Weights are N(0, 1) with an offset per output, over the root of the fan-in; the gains of the norms have both signs,
    and so have the slopes of PReLU. Parameters that a model declares itself are its constructor's business.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, _ConvNd | nn.Linear | nn.Embedding):
                draw_weights(layer.weight, generator)
            elif isinstance(layer, _BatchNorm | nn.LayerNorm):
                draw_gains(layer.weight, generator)
            elif isinstance(layer, nn.PReLU):
                layer.weight.normal_(0.3, 0.3, generator=generator)
            if isinstance(layer, _ConvNd | nn.Linear | _BatchNorm | nn.LayerNorm) and layer.bias is not None:
                layer.bias.normal_(0.0, 0.2, generator=generator)


def draw_weights(weight: torch.Tensor, generator: torch.Generator) -> None:
    """Overwrite with N(0, 1) plus N(0, 0.2) per first index, over the root of the fan-in."""
    offsets = torch.randn(len(weight), *(1,) * (weight.dim() - 1), generator=generator)
    weight.normal_(generator=generator).add_(0.2 * offsets).div_(weight[0].numel() ** 0.5)


def draw_gains(gain: torch.Tensor, generator: torch.Generator) -> None:
    """Overwrite with magnitudes of 0.5 to 1.5, some negative."""
    negative = torch.rand(gain.shape, generator=generator) < NEGATIVE_GAINS
    gain.uniform_(0.5, 1.5, generator=generator).mul_(torch.where(negative, -1.0, 1.0))


def calibrate(module: nn.Module, inputs: Inputs, seed: int) -> None:
    """Set the statistics of every batch norm to what reaches it, disturbed as training leaves them; evaluation mode.

    The mean is off by N(0, 0.3) standard deviations and the variance by a factor of 0.5 to 2, so that signs are mixed
    whatever the depth of the accumulators and the scale of the weights.
    """
    generator = torch.Generator().manual_seed(seed)

    def measure(layer: nn.Module, operands: tuple[torch.Tensor]) -> None:
        if not isinstance(layer, _BatchNorm) or layer.running_mean is None or layer.running_var is None:
            return
        channels = operands[0].transpose(0, 1).flatten(1)
        variance = channels.var(1)
        variance = variance.clamp_min(0.1 * float(variance.mean()) + 1e-6)  # a channel that ReLU has killed
        noise = torch.randn(variance.shape, generator=generator)
        layer.running_mean.copy_(channels.mean(1) + 0.3 * noise * variance.sqrt())
        layer.running_var.copy_(variance * 2 ** (2 * torch.rand(variance.shape, generator=generator) - 1))

    handles = [layer.register_forward_pre_hook(measure) for layer in module.modules()]
    samples = zip(*(resample(inputs, seed + batch) for batch in range(CALIBRATION_BATCHES)), strict=True)
    with torch.no_grad():
        module.eval()(*(torch.cat(operands) for operands in samples))
    for handle in handles:
        handle.remove()
