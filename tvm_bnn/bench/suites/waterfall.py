"""Where a benchmark network's time goes: its kernel calls, compiled as the artifact's are."""

from __future__ import annotations

import torch
from torch import nn

from relay_passes import pipeline
from relay_passes.analysis.layers import layers_of
from tvm_bnn.bench.options import Plan, warn_once
from tvm_bnn.compile.float_layers import packing
from tvm_bnn.compile.kernel_times.waterfall import Step, watch_kernels
from tvm_bnn.front_ends.opening import open_model


def waterfall(module: nn.Module, example: torch.Tensor, plan: Plan) -> list[Step]:
    """Compile a network once more, as bytecode that can be watched, and time each of its calls.

    The kernels are those of the artifact, by the same logs; watching adds about a microsecond to each.

    Raises
    ------
    RuntimeError
        If the calls that were seen are not those of the compiled module.
    """
    simplified = pipeline.run(open_model(module, (example,)).read().module, pipeline.simplify())
    lowering = pipeline.lower_to(plan.target.isa, plan.logs, warn_once)
    passes = pipeline.canonicalize() + packing(plan.target, plan.float_layers) + lowering
    scheduled = pipeline.run(simplified, passes)
    return watch_kernels(scheduled, layers_of(simplified), [example.numpy()], plan.target, plan.repeats)
