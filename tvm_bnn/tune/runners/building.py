"""From a candidate's schedule to a library that can be measured."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import tvm

from schedules.lowering import stack
from schedules.machines.link import Toolchain, linker
from schedules.machines.target import Target
from tvm_bnn.tune.runners.forked import Outcome, in_children

#: Compiling a candidate takes a quarter of a second, on a loaded machine a second.
_TIMEOUT_S = 60.0
SYMBOL = "main"


def build_all(
    modules: Sequence[tvm.IRModule], target: Target, toolchain: Toolchain, folder: Path, workers: int
) -> list[Outcome[str]]:
    """Compile modules of one function into shared libraries, each in a process of its own."""
    works = [
        functools.partial(build, module, target, toolchain, folder / f"{number}.so")
        for number, module in enumerate(modules)
    ]
    return in_children(works, _TIMEOUT_S, workers)


def build(module: tvm.IRModule, target: Target, toolchain: Toolchain, path: Path) -> str:
    """Compile a module of one function into a shared library and return its path."""
    function = module["main"].with_attr("global_symbol", SYMBOL)
    compiled = tvm.compile(function, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE)
    compiled.export_library(str(path), fcompile=linker(target.link_triple, toolchain))
    return str(path)
