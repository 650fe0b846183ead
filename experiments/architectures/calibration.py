"""Statistics for networks without training: what reaches each batch norm, as a few batches show it.

An untrained net with made-up statistics has channels that are all +1 or all -1, and its signs flip at a breath.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Inputs: TypeAlias = tuple[torch.Tensor, ...]
_OFFSET = 0.1


def calibrate(model: nn.Module, batches: Iterable[Inputs]) -> nn.Module:
    """Set every batch norm's statistics to the mean over ``batches``, and return the model in evaluation mode."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    with torch.no_grad():
        for inputs in batches:
            model(*inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def draw_offsets(model: nn.Module, seed: int) -> nn.Module:
    """Draw the offset of every batch norm from N(0, 0.1²), to be called before statistics are taken.

    Training leaves such offsets. Without, a channel's mean over few integers is often one of them, and what a norm
    makes of that integer is zero but for rounding: its sign is an accident, of which PyTorch's float32 and float64
    think differently.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.bias is not None:
            module.bias.data.copy_(_OFFSET * torch.randn(module.bias.shape, generator=generator))
    return model
