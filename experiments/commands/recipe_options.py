"""The options that say how networks are trained, shared by the commands that train."""

from __future__ import annotations

import dataclasses

from experiments.training.recipe import Recipe
from schedules.errors import UserError

_RATE = 3e-3
#: Transformers that normalise after each sum do not learn at such a rate from the first step on.
RATES = {"text": 1e-3}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeOptions(Recipe):
    """How to train: a recipe, whose rate depends on the task where none is given."""

    epochs: int = 12
    """Passes over the training set; with --two-stage, half of them in each stage."""
    learning_rate: float | None = None  # type: ignore[assignment]  # settled by the recipe
    """At the start; by default 0.003, for text 0.001."""

    def recipe(self, task: str = "") -> Recipe:
        """Return the recipe for a task.

        Raises
        ------
        UserError
            If a number makes no sense.
        """
        least = {"epochs": 2 if self.two_stage else 1, "batch": 1, "samples": 1, "steps": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise UserError(f"--{name} {value}: at least {bound} is needed")
        rate = RATES.get(task, _RATE) if self.learning_rate is None else self.learning_rate
        if not rate > 0:
            raise UserError(f"--learning-rate {rate}: it must be positive")
        return Recipe(**{**dataclasses.asdict(self), "learning_rate": rate})
