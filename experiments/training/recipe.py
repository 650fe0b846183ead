"""How a network is trained: everything that decides the result, besides data and network."""

from __future__ import annotations

from typing import Literal

import msgspec
import torch
from torch import nn

#: Where the step schedule divides the rate by ten, as shares of the training.
_STEPS = (0.5, 0.75)
_DECAY = 0.1
_MOMENTUM = 0.9


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A training.

    Parameters
    ----------
    epochs
        Over the training set; with ``two_stage``, half of them in each stage.
    batch
        Samples a step, over all processes.
    optimizer, learning_rate, weight_decay
        Adam, or SGD with momentum 0.9.
    schedule
        The rate falls along a cosine, or to a tenth after a half and three quarters; step by step.
    two_stage
        First with binary activations and real weights, then all binary from there (ReActNet, ECCV 2020, section 4.4).
    distillation
        Weight of the full-precision twin's predictions in the loss (ReActNet's distributional loss); 0 for none.
    from_float
        Start from the weights of the trained full-precision twin, as BiBench does; else from random ones.
    seed
        Of weights, order and augmentation.
    samples, steps
        At most so many training samples, and steps an epoch; None for all.
    """

    epochs: int = 6
    batch: int = 64
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["cosine", "step"] = "cosine"
    two_stage: bool = False
    distillation: float = 0.0
    from_float: bool = True
    seed: int = 0
    samples: int | None = None
    steps: int | None = None

    @property
    def stages(self) -> tuple[tuple[int, bool], ...]:
        """How many epochs each stage takes, and whether its weights are real."""
        if not self.two_stage:
            return ((self.epochs, False),)
        return (self.epochs // 2, True), (self.epochs - self.epochs // 2, False)


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
