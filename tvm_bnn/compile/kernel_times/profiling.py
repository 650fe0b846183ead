"""Time the kernels of the model that is being compiled, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import tvm

from relay_passes.analysis.layers import Layer
from schedules.machines.target import Target
from tvm_bnn.artifacts.artifact import TensorSpec
from tvm_bnn.compile.kernel_times.roofline import kernel_times
from tvm_bnn.compile.kernel_times.waterfall import watch_kernels
from tvm_bnn.compile.reporting.compilation_report import KernelTime, LayerRow
from tvm_bnn.verifying.deployed import random_inputs

REPEATS = 30


def profiled(
    scheduled: tvm.IRModule,
    layers: Sequence[Layer],
    rows: Sequence[LayerRow],
    inputs: Sequence[TensorSpec],
    target: Target,
) -> tuple[KernelTime, ...]:
    """Return the times of each kernel call of a scheduled module on random inputs.

    Parameters
    ----------
    scheduled
        What was compiled.
    layers, rows
        Of the model, and what the report says of them.
    inputs
        Of the model.
    target
        It was scheduled for, of a kind that this machine runs.
    """
    return kernel_times(watch_kernels(scheduled, layers, random_inputs(inputs, 0), target, REPEATS), rows)
