"""The architectures of the benchmark: one file a family, each with a table of its own."""

from __future__ import annotations

from experiments.architectures import resnet
from experiments.architectures.architecture import Architecture
from schedules.errors import UserError

__all__ = ["ARCHITECTURES", "Architecture", "find_architecture"]

ARCHITECTURES: tuple[Architecture, ...] = (*resnet.ARCHITECTURES,)


def find_architecture(name: str) -> Architecture:
    """Return the architecture of that name.

    Raises
    ------
    UserError
        If there is none.
    """
    for architecture in ARCHITECTURES:
        if architecture.name == name:
            return architecture
    known = ", ".join(architecture.name for architecture in ARCHITECTURES)
    raise UserError(f"architecture '{name}': not known; there are {known}")
