"""Refuse, by name, what TVM 0.27's importer would translate into something else."""

from __future__ import annotations

import operator
from collections.abc import Callable

import tvm
from torch.export import ExportedProgram
from torch.fx import Node

from schedules.errors import UserError

_WRONG = {
    "grid_sampler_2d": "takes the grid's last axis for one of the picture",
    "grid_sampler_3d": "takes the grid's last axis for one of the picture",
    "_upsample_bilinear2d_aa": "leaves the antialiasing out",
    "median": "has code that cannot be scheduled",
}
#: Where an avg_pool2d has its divisor.
_DIVISOR = 6


def refuse_mistranslated(program: ExportedProgram, place: Callable[[Node], str]) -> None:
    """Raise an error for the first operator that is known to come out wrong.

    Raises
    ------
    UserError
        Names the operator, what TVM makes of it, and the module.
    """
    for node in program.graph.nodes:
        what = _wrong(node) if node.op == "call_function" else None
        if what is not None:
            raise UserError(
                f"operator {node.target} in {place(node)} cannot be imported: TVM {tvm.__version__} {what}; "
                "express it with other operators"
            )


def _wrong(node: Node) -> str | None:
    """Return what would be wrong about a node's translation, or None."""
    name = str(node.target).removeprefix("aten.").split(".")[0]
    if name.endswith("_with_indices"):
        read = any(user.target is operator.getitem and user.args[1] == 1 and user.users for user in node.users)
        return "gives the maxima for their places" if read else None
    if name == "avg_pool2d" and len(node.args) > _DIVISOR and node.args[_DIVISOR] is not None:
        return "forgets divisor_override beside ceil_mode"
    return _WRONG.get(name)
