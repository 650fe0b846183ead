"""From a scheduled module to a shared library, and what can be read off the module on the way."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm import relax

from relay_passes.analysis.layers import Layer
from relay_passes.analysis.part_names import PART, layers_behind, shares
from relay_passes.dialect import shape_of
from relay_passes.lower.fuse_layers import layer_of
from relay_passes.lower.schedule_kernels import CHOICE, SCHEDULE
from relay_passes.rewrite import MAIN, array_of, bindings, is_constant, op_name
from schedules.lowering import stack
from schedules.machines.link import Toolchain, linker
from schedules.machines.target import Target
from tvm_bnn.artifacts.artifact import KernelUse, TensorSpec


def build_library(module: tvm.IRModule, target: Target, toolchain: Toolchain) -> bytes:
    """Compile a scheduled module and return the shared library's bytes.

    Raises
    ------
    UserError
        If the linker is missing or fails.
    """
    executable = _built(module, target)
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        library = Path(folder) / "model.so"
        executable.export_library(str(library), fcompile=linker(target.link_triple, toolchain))
        return library.read_bytes()


def assembly(module: tvm.IRModule, target: Target) -> str:
    """Compile a scheduled module and return its assembly."""
    (library,) = _built(module, target).mod.imports
    return str(library.inspect_source("asm"))


def _built(module: tvm.IRModule, target: Target) -> relax.VMExecutable:
    return relax.build(module, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE, exec_mode="compiled")


def kernel_uses(module: tvm.IRModule, layers: Sequence[Layer]) -> tuple[KernelUse, ...]:
    """Return the kernel calls of a scheduled module in order; ``layer`` is empty where no layer is behind a call.

    Where one call computes several layers, it has all their names
    (:func:`relay_passes.analysis.part_names.layers_behind`).
    """
    names = {layer.name for layer in layers}
    return tuple(
        KernelUse(
            layer if names.issuperset(layers_behind(layer)) else "",
            str(function.name_hint),
            *(str(module[function].attrs[attribute]) for attribute in (CHOICE, SCHEDULE)),
        )
        for layer, function, _ in _kernel_calls(module)
    )


def constant_bytes(module: tvm.IRModule, layers: Sequence[Layer]) -> dict[str, int]:
    """Return the bytes of all constants that each layer's kernel reads, by the layer's name.

    Layers that share a kernel have a part of them, by the size of their weights.
    """
    weights = {layer.name: math.prod(layer.weight_shape) for layer in layers}
    sizes = dict.fromkeys(weights, 0)
    for name, _, operands in _kernel_calls(module):
        read = sum(array_of(operand).nbytes for operand in operands if is_constant(operand))
        for layer, share in shares(name, weights).items():
            sizes[layer] += int(read * share)
    return sizes


def touched_bytes(module: tvm.IRModule) -> list[int]:
    """Return the bytes of the operands and results of each kernel call, in order."""
    calls = [binding.value for binding in bindings(module[MAIN]) if op_name(binding.value) == "relax.call_tir"]
    return [sum(map(_tensor_bytes, (*call.args[1].fields, *_tensors(call.ty)))) for call in calls]


def _tensors(result: Any) -> list[Any]:
    return [result] if isinstance(result, relax.TensorType) else list(result.fields)


def _tensor_bytes(value: Any) -> int:
    tensor = value if isinstance(value, relax.TensorType) else value.ty
    return math.prod(shape_of(tensor)) * np.dtype(str(tensor.dtype)).itemsize


def output_specs(module: tvm.IRModule) -> tuple[TensorSpec, ...]:
    """Return the outputs of ``main``, named by their position."""
    return tuple(
        TensorSpec(f"output{index}", shape_of(tensor), str(tensor.dtype))
        for index, tensor in enumerate(_tensors(module[MAIN].ret_ty))
    )


def _kernel_calls(module: tvm.IRModule) -> Iterator[tuple[str, tvm.ir.GlobalVar, list[relax.Expr]]]:
    """Yield the layer, the function and the operands of every ``call_tir`` of ``main``."""
    for binding in bindings(module[MAIN]):
        if op_name(binding.value) == "relax.call_tir":
            function, operands = binding.value.args[:2]
            yield layer_of(str(binding.var.name)).split(PART)[0], function, list(operands.fields)
