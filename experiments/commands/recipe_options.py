"""The options that say how networks are trained, shared by the commands that train."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from schedules.errors import UserError

if TYPE_CHECKING:
    from experiments.training.recipe import Recipe

_RATE = 3e-3
#: Transformers that normalise after each sum do not learn at such a rate from the first step on.
RATES = {"text": 1e-3}


@dataclasses.dataclass(frozen=True)
class RecipeOptions:
    """How to train."""

    epochs: int = 12
    """Passes over the training set; with --two-stage, half of them in each stage."""
    batch: int = 64
    """Samples a step, over all processes."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or SGD with momentum 0.9."""
    learning_rate: float | None = None
    """At the start; by default 0.003, for text 0.001."""
    weight_decay: float = 0.0
    """Of weights; scales and norms never decay."""
    schedule: Literal["cosine", "step"] = "cosine"
    """How the rate falls, step by step."""
    two_stage: bool = False
    """First binary activations with real weights, then all binary, as ReActNet is trained."""
    distillation: float = 0.0
    """Weight of the full-precision twin's predictions in the loss."""
    from_float: bool = True
    """Start from the trained full-precision twin, which is trained first; else from random weights."""
    seed: int = 0
    """Of weights, order and augmentation."""
    samples: int | None = None
    """Train on at most so many samples."""
    steps: int | None = None
    """Train at most so many steps an epoch, to try things out."""

    def recipe(self, task: str = "") -> Recipe:
        """Return the recipe for a task.

        Raises
        ------
        UserError
            If a number makes no sense.
        """
        from experiments.training.recipe import Recipe

        least = {"epochs": 2 if self.two_stage else 1, "batch": 1, "samples": 1, "steps": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise UserError(f"--{name} {value}: at least {bound} is needed")
        rate = RATES.get(task, _RATE) if self.learning_rate is None else self.learning_rate
        if not rate > 0:
            raise UserError(f"--learning-rate {rate}: it must be positive")
        return Recipe(**{**dataclasses.asdict(self), "learning_rate": rate})
