"""What has no anchor: the values that are packed on their own are computed where they are packed."""

import numpy as np
import pytest
import tvm
from tvm import relax

from relay_passes import dialect, pipeline
from schedules.kernels.binary import bits
from schedules.lowering import stack
from schedules.machines import host

RNG = np.random.default_rng(0)


def shifted(builder, x, channels):
    return builder.emit(relax.op.add(x, relax.const(np.linspace(-1, 1, channels, dtype=np.float32))))


def scaled_by_another(builder, x, _channels):
    """No chain of one value, which would become a threshold."""
    return builder.emit(relax.op.multiply(x, builder.emit(relax.op.max(x, [2], keepdims=True))))


def pooled(builder, x, _channels):
    return builder.emit(relax.op.mean(x, [1], keepdims=True))


def values(tail, x):
    channels = x.shape[-1]
    if tail is shifted:
        return x + np.linspace(-1, 1, channels, dtype=np.float32)
    return x * x.max(2, keepdims=True) if tail is scaled_by_another else x.mean(1, keepdims=True)


def module_of(tail, shape, isa, also_kept):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    channels = shape[-1]
    flip = np.zeros(bits.words_for(channels, isa.word_bits), f"uint{isa.word_bits}")
    with builder.function("main", [x]):
        with builder.dataflow():
            value = tail(builder, x, channels)
            limits = relax.const(np.full(channels, 0.25, np.float32))
            packed = builder.emit(dialect.pack(value, limits, relax.const(flip), isa.word_bits))
            result = builder.emit_output(relax.Tuple([packed, value]) if also_kept else packed)
        builder.emit_func_output(result)
    return builder.get()


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", [(1, 6, 128), (3, 5, 96), (2, 4, 40), (2, 3, 5)], ids=str)
@pytest.mark.parametrize("tail", [shifted, scaled_by_another, pooled])
@pytest.mark.parametrize("also_kept", [False, True], ids=["packed", "kept as well"])
def test_values_are_packed(tail, shape, isa, also_kept):
    module = pipeline.run(module_of(tail, shape, isa, also_kept), pipeline.lower_to(isa))
    executable = relax.build(module, target="llvm", tir_pipeline=stack.PIPELINE)
    x = (RNG.integers(-8, 9, shape) / 4).astype(np.float32)
    result = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x))
    expected = values(tail, x)
    packed = result[0] if also_kept else result
    np.testing.assert_array_equal(packed.numpy(), bits.pack(np.where(expected >= 0.25, 1, -1), isa.word_bits))
    if also_kept:
        np.testing.assert_array_equal(result[1].numpy(), expected)


def test_a_value_that_is_only_packed_is_never_written_as_a_whole():
    isa = host.isas()[0]
    module = pipeline.run(module_of(shifted, (1, 6, 128), isa, also_kept=False), pipeline.lower_to(isa))
    (kernel,) = (function for function in module.functions.values() if isinstance(function, tvm.tirx.PrimFunc))
    lines = kernel.script().splitlines()
    add, pack = (
        next(number for number, line in enumerate(lines) if f'T.sblock("{name}' in line) for name in ("T_add", "pack_")
    )
    # One nest of loops, of which the inner ones end before the pack begins.
    assert not any("T.grid" in line or "range(" in line for line in lines[add:pack])
