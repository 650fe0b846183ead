"""The rules of all operators, by the names of TVM's without ``relax.``."""

from __future__ import annotations

from relay_passes.analysis.domains import activations, arithmetic, moves, reductions, rounding
from relay_passes.analysis.domains.rule import Rule

#: Of any operands.
RULES: dict[str, Rule] = {
    **moves.RULES,
    **reductions.RULES,
    **activations.RULES,
    "astype": rounding.of_cast,
}
#: Of operands that do not all take few values; those that do are tried one by one.
BOUNDS: dict[str, Rule] = {**arithmetic.BOUNDS, **rounding.BOUNDS, **activations.BOUNDS}
