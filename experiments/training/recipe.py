"""How a network is trained: everything that decides the result, besides data and network."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training; its fields are options of the commands that train, with these texts."""

    epochs: int = 6
    """Passes over the training set; with --two-stage, half of them in each stage."""
    batch: int = 64
    """Samples a step, over all processes."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or SGD with momentum 0.9."""
    learning_rate: float = 1e-3
    """At the start."""
    weight_decay: float = 0.0
    """Of weights; scales and norms never decay."""
    schedule: Literal["cosine", "step"] = "cosine"
    """The rate falls along a cosine, or to a tenth after a half and three quarters; step by step."""
    two_stage: bool = False
    """First binary activations with real weights, then all binary, as ReActNet is trained (ECCV 2020, section 4.4)."""
    distillation: float = 0.0
    """Weight of the full-precision twin's predictions in the loss (ReActNet's distributional loss); 0 for none."""
    from_float: bool = True
    """Start from the trained full-precision twin, which is trained first, as BiBench does; else from random weights."""
    seed: int = 0
    """Of weights, order and augmentation."""
    samples: int | None = None
    """Train on at most so many samples."""
    steps: int | None = None
    """Train at most so many steps an epoch, to try things out."""

    @property
    def stages(self) -> tuple[tuple[int, bool], ...]:
        """How many epochs each stage takes, and whether its weights are real."""
        if not self.two_stage:
            return ((self.epochs, False),)
        return (self.epochs // 2, True), (self.epochs - self.epochs // 2, False)
