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
