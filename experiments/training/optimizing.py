"""The optimizer and the schedule of the rate that a recipe names."""

from __future__ import annotations

import torch
from torch import nn

from experiments.training.recipe import Recipe

#: Where the step schedule divides the rate by ten, as shares of the training.
_STEPS = (0.5, 0.75)
_DECAY = 0.1
_MOMENTUM = 0.9


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of all parameters that are learned; scales and norms do not decay."""
    learned = [value for value in model.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in learned if value.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [value for value in learned if value.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=_MOMENTUM)
    return torch.optim.Adam(groups, lr=recipe.learning_rate)


def make_schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the schedule over so many steps."""
    if recipe.schedule == "step":
        milestones = sorted({max(1, int(share * steps)) for share in _STEPS})
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, _DECAY)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
