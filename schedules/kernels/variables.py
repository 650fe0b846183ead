"""The variables of an index: which there are, and others in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Expr as Index


def variables_of(index: Index) -> set[tirx.Var]:
    """Return the variables that an index depends on."""
    found: set[tirx.Var] = set()
    tvm_ffi.structural_walk(index, (tirx.Var, found.add))
    return found


def replaced(value: Index, new: Mapping[Any, Index]) -> Index:
    """Return a value with other values in place of some variables."""
    return tvm_ffi.structural_map(value, (tirx.Var, lambda var: new.get(var, var)))
