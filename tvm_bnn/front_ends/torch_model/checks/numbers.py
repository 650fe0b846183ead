"""Refuse stored numbers that no training leaves: NaN, and variances below zero."""

from __future__ import annotations

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.running.sign_counter import operator

#: Where batch norms have their variance among their arguments.
_VARIANCE = {
    "batch_norm": 4,
    "_native_batch_norm_legit_no_training": 4,
    "native_batch_norm": 4,
    "cudnn_batch_norm": 4,
}


def refuse_bad_numbers(program: ExportedProgram, name: str) -> None:
    """Look at all stored tensors that the program reads.

    Raises
    ------
    UserError
        That names the parameter or buffer.
    """
    stored = {
        spec.arg.name: str(spec.target)
        for spec in program.graph_signature.input_specs
        if spec.target is not None and hasattr(spec.arg, "name")
    }
    variances = {_variance(node) for node in program.graph.nodes}
    for node in program.graph.nodes:
        target = stored.get(node.name) if node.op == "placeholder" and node.users else None
        value = None if target is None else program.state_dict.get(target, program.constants.get(target))
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            continue
        fault = _fault(value, node in variances)
        if fault:
            raise UserError(
                f"model '{name}': '{target}' {fault}; the checkpoint is damaged, or training went astray: load another"
            )


def _variance(node: Node) -> object:
    at = _VARIANCE.get(operator(node))
    return node.args[at] if at is not None and len(node.args) > at else None


def _fault(value: torch.Tensor, is_variance: bool) -> str:
    unknown = int(value.isnan().sum())
    if unknown:
        return f"is NaN in {unknown} of {value.numel()} places"
    negative = int((value < 0).sum()) if is_variance else 0
    if negative:
        return f"is a variance, and below zero in {negative} of {value.numel()} places (least {float(value.min()):.3g})"
    return ""
