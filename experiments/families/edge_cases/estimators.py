"""Straight-through estimators in the algebra that people find: the forward value is few-valued, the rest cancels.

One network for all: a real stem, the activation, a binary layer, a real head.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import ScaledSignConv2d, pooled_head, real_stem
from experiments.families.family import Family, normal

Activation = Callable[[torch.Tensor], torch.Tensor]


class Activated(nn.Module):
    """Applies a function."""

    def __init__(self, function: Activation) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the function does."""
        return self.function(x)


def network(activation: Activation) -> nn.Module:
    """Return stem, activation, binary layer, head."""
    return nn.Sequential(
        *(real_stem(3, 24), Activated(activation), ScaledSignConv2d(24, 24, 3, padding=1, bias=False)),
        *(nn.BatchNorm2d(24), nn.ReLU(), pooled_head(24)),
    )


def activated(name: str, idiom: str, activation: Activation, planes: bool = False, binary: bool = True) -> Family:
    """Return a family of one layer with an activation: binary, on bit planes, or neither."""
    return Family(
        name,
        idiom,
        lambda: network(activation),
        normal(1, 3, 7, 7),
        binary_layers=int(binary and not planes),
        total_layers=3,
        plane_layers=int(planes),
    )


def curve(x: torch.Tensor) -> torch.Tensor:
    """Return a piecewise polynomial surrogate."""
    return torch.where(x < 0, (x * x + 2 * x).clamp(-1, 0), (2 * x - x * x).clamp(0, 1))


def sample_scale(x: torch.Tensor) -> torch.Tensor:
    """Return one number a sample."""
    return x.abs().mean((1, 2, 3), keepdim=True)


FAMILIES = (
    activated(
        "Estimator: clamp written twice",
        "s.detach() + x.clamp(-1, 1) - x.clamp(-1, 1).detach()",
        lambda x: x.sign().detach() + x.clamp(-1, 1) - x.clamp(-1, 1).detach(),
    ),
    activated(
        "Estimator: tanh written twice",
        "x.tanh() - x.tanh().detach() + s",
        lambda x: x.tanh() - x.tanh().detach() + x.sign().detach(),
    ),
    activated(
        "Estimator: polynomial written twice",
        "s.detach() - p(x).detach() + p(x), p by where",
        lambda x: x.sign().detach() - curve(x).detach() + curve(x),
    ),
    activated("Estimator: identity", "x - x.detach() + s.detach()", lambda x: x - x.detach() + x.sign().detach()),
    activated("Estimator: nested difference", "x - (x - s).detach()", lambda x: x - (x - x.sign()).detach()),
    activated(
        "Estimator: masked gradient",
        "s.detach() + x * (|x| < 1) - (x * (|x| < 1)).detach()",
        lambda x: x.sign().detach() + x * (x.abs() < 1) - (x * (x.abs() < 1)).detach(),
    ),
    activated(
        "Estimator: add with alpha",
        "torch.add(torch.add(s, t, alpha=2), t.detach(), alpha=-2)",
        lambda x: torch.add(torch.add(x.sign(), x.tanh(), alpha=2), x.tanh().detach(), alpha=-2),
    ),
    activated(
        "Estimator: stacked and summed",
        "torch.stack([s.detach(), t, -t.detach()]).sum(0)",
        lambda x: torch.stack([x.sign().detach(), x.tanh(), -x.tanh().detach()]).sum(0),
    ),
    activated(
        "Estimator: a scale of the sample inside",
        "(b.expand_as(x) * s - c).detach() + c",
        lambda x: (sample_scale(x).expand_as(x) * x.sign() - functional.hardtanh(x)).detach() + functional.hardtanh(x),
    ),
    activated(
        "Estimator: a scale of the sample in front",
        "b * (s.detach() - c.detach() + c)",
        lambda x: sample_scale(x) * (x.sign().detach() - functional.hardtanh(x).detach() + functional.hardtanh(x)),
    ),
    activated(
        "Look-alike: a surrogate that does not cancel",
        "s.detach() + x.tanh() - x.clamp(-1, 1).detach()",
        lambda x: x.sign().detach() + x.tanh() - x.clamp(-1, 1).detach(),
        binary=False,
    ),
)
