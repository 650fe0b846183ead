"""One layer compiled as the compiler would inside a network, and nothing around it."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tvm
from tvm import relax
from tvm.runtime.vm import VirtualMachine

from relay_passes import dialect, pipeline
from relay_passes.pack.block_float_layers import block_float_layers
from relay_passes.pack.compare_counts import compare_counts
from relay_passes.pack.count_in_tiles import count_in_tiles
from relay_passes.pack.pack_layers import packed_weights
from relay_passes.pack.winograd_convolutions import is_worth_it, winograd_convolutions
from relay_passes.rewrite import MAIN, constant
from schedules.files.line_file import Warn
from schedules.kernels import reference
from schedules.kernels.binary import bits
from schedules.kernels.binary.border import border_table
from schedules.machines.amx import has_tiles
from schedules.machines.isa import Isa
from schedules.machines.link import Toolchain
from schedules.machines.target import Target
from schedules.tuned.lookup import Tuned
from tvm_bnn.bench.options import warn_once
from tvm_bnn.bench.workloads import Array, Operands, Workload
from tvm_bnn.compile import backend


@dataclasses.dataclass(frozen=True)
class CompiledLayer:
    """A layer that is ready to run: what calls it on prepared tensors, the kernel and tile it got, and from where."""

    call: Callable[[], Array]
    choice: str
    schedule: str


def compile_layer(
    workload: Workload, operands: Operands, target: Target, toolchain: Toolchain, logs: Sequence[Tuned] = ()
) -> CompiledLayer:
    """Compile a layer for this machine, by the first log that knows it, and bind its input.

    Raises
    ------
    UserError
        If linking fails.
    RuntimeError
        If the result is not what NumPy computes.
    """
    scheduled = scheduled_layer(workload, operands, target, logs)
    library = backend.build_library(scheduled, target, toolchain)
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        path = Path(folder) / "layer.so"
        path.write_bytes(library)
        main = VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())[MAIN]
    tensor = tvm.runtime.tensor(layer_input(workload, operands, target.isa))
    check(workload, operands, main(tensor).numpy())
    return CompiledLayer(lambda: main(tensor), choice_of(scheduled), schedule_of(scheduled))


def scheduled_layer(
    workload: Workload, operands: Operands, target: Target, logs: Sequence[Tuned] = (), warn: Warn = warn_once
) -> tvm.IRModule:
    """Return the module whose ``main`` is the layer, scheduled by the first log that knows it."""
    lowered = lowered_layer(workload, operands, target.isa, has_tiles(target.tvm, target.isa))
    return pipeline.run(lowered, pipeline.scheduled(target.isa, logs, warn))


def lowered_layer(workload: Workload, operands: Operands, isa: Isa, tiles: bool = False) -> tvm.IRModule:
    """Return the module whose ``main`` is the layer, without a schedule."""
    build = _binary_module if workload.binary else _float_module
    compared = compare_counts(build(workload, operands, isa))
    return pipeline.run(count_in_tiles(compared) if tiles else compared, pipeline.unscheduled())


def layer_input(workload: Workload, operands: Operands, isa: Isa) -> Array:
    """Return what the layer is called on: packed words, or float32, for some kernels as planes."""
    if workload.binary:
        return bits.pack(operands.x, isa.word_bits, workload.groups)
    return np.ascontiguousarray(np.moveaxis(operands.x, -1, 1)) if _reads_planes(workload, operands) else operands.x


def _reads_planes(workload: Workload, operands: Operands) -> bool:
    return is_worth_it(operands.weight.shape, (workload.height, workload.width), workload.window)


def choice_of(scheduled: tvm.IRModule) -> str:
    """Return the kernels and tiles of a scheduled layer.

    A padding or a packing that stayed outside would be a second kernel: the table shows it.
    """
    return " + ".join(use.choice for use in backend.kernel_uses(scheduled, []))


def schedule_of(scheduled: tvm.IRModule) -> str:
    """Return where the schedule of each of those kernels comes from: ``log``, ``shipped`` or ``default``."""
    return " + ".join(use.schedule for use in backend.kernel_uses(scheduled, []))


def _binary_module(workload: Workload, operands: Operands, isa: Isa) -> tvm.IRModule:
    groups, window = workload.groups, workload.window
    words = groups * bits.words_for(workload.channels // groups, isa.word_bits)
    x = relax.Var("words", relax.TensorType((1, workload.height, workload.width, words), isa.word_dtype))
    border = border_table(operands.weight, window, workload.height, workload.width)
    weights, filled = packed_weights(operands.weight, border, isa, groups)
    flip = constant(bits.pack_bools(operands.flip, isa.word_bits))
    builder = relax.BlockBuilder()
    with builder.function(MAIN, [x]):
        with builder.dataflow():
            dot = dialect.packed_conv2d(x, constant(weights), constant(filled), window, workload.outputs, groups)
            packed = dialect.pack(builder.emit(dot), constant(operands.tau), flip, isa.word_bits)
            result = builder.emit_output(builder.emit(packed))
        builder.emit_func_output(result)
    return builder.get()


def _float_module(workload: Workload, operands: Operands, isa: Isa) -> tvm.IRModule:
    """Return the layer as a model has it, after the passes that lay its weights out."""
    x = relax.Var("x", relax.TensorType(layer_input(workload, operands, isa).shape, "float32"))
    window = workload.window
    builder = relax.BlockBuilder()
    with builder.function(MAIN, [x]):
        with builder.dataflow():
            nhwc = builder.emit(relax.op.permute_dims(x, [0, 2, 3, 1])) if _reads_planes(workload, operands) else x
            made = relax.op.nn.conv2d(
                nhwc,
                constant(operands.weight),
                strides=list(window.strides),
                padding=list(window.padding),
                dilation=list(window.dilation),
                data_layout="NHWC",
                kernel_layout="OHWI",
            )
            result = builder.emit_output(builder.emit(made))
        builder.emit_func_output(result)
    return block_float_layers(winograd_convolutions(builder.get(), isa), isa)


#: Sums of some hundred float32 products in another order, relative to the largest.
_TOLERANCE = 1e-5


def check(workload: Workload, operands: Operands, found: Array) -> None:
    """Hold a result against the reference of the kernels' own tests.

    Raises
    ------
    RuntimeError
        If it is not what NumPy computes.
    """
    expected = reference.conv2d(operands.x, operands.weight, workload.window, workload.groups)
    if workload.binary:
        on = reference.threshold(expected, operands.tau, operands.flip)
        right = np.array_equal(bits.unpack(found, workload.outputs) > 0, on)
    else:
        right = bool(np.abs(found - expected).max() <= _TOLERANCE * np.abs(expected).max())
    if not right:
        raise RuntimeError(f"layer '{workload.name}': the compiled layer does not compute what NumPy does")
