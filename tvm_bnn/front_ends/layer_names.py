"""Layers carry their names in the source spans of their calls, whatever front end they come through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tvm
from tvm import relax

from relay_passes.analysis.part_names import without_signs
from relay_passes.rewrite import MAIN, bindings, named


def with_layer_names(module: tvm.IRModule, names: Mapping[relax.Var, str]) -> tvm.IRModule:
    """Put names into the spans of the calls that variables of ``main``, the module's only function, are bound to."""
    function = module[MAIN]
    calls = [binding.var for binding in bindings(function) if binding.var in names]
    unique = dict(zip(calls, numbered([without_signs(names[var]) for var in calls]), strict=True))
    blocks = []
    for block in function.body.blocks:
        renamed = [
            relax.VarBinding(binding.var, named(binding.value, unique[binding.var]))
            if binding.var in unique
            else binding
            for binding in block.bindings
        ]
        blocks.append(type(block)(renamed))
    body = relax.SeqExpr(blocks, function.body.body)
    renewed = relax.Function(function.params, body, function.ret_ty, function.is_pure, function.attrs)
    return tvm.IRModule({MAIN: renewed})


def numbered(names: Sequence[str]) -> list[str]:
    """Number the further calls of a layer that runs more than once."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return unique
