"""Layers counted by AMX, instructions emulated: the numbers and bits of the same layers counted by popcount."""

import numpy as np
import pytest
import tvm
from tvm import relax

from relay_passes import dialect, pipeline
from relay_passes.lower.schedule_kernels import CHOICE
from relay_passes.pack.count_in_tiles import count_in_tiles
from relay_passes.rewrite import bindings, op_name
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.isa import AVX512_VPOPCNTDQ, NEON

RNG = np.random.default_rng(0)
PADDED = Window((3, 3), padding=(1, 1, 1, 1))
STRIDED = Window((3, 3), (2, 2), (0, 1, 1, 0))


def always(_layer):
    return True


def never(_layer):
    return False


def signs(*shape):
    return relax.const(RNG.choice(np.array([-1, 1], np.float32), shape))


def per_channel(channels):
    scale = RNG.choice(np.array([-1, 1], np.float32), channels) * np.linspace(0.5, 1.5, channels, dtype=np.float32)
    return relax.const(scale), relax.const(RNG.uniform(-9, 9, channels).astype(np.float32))


def module_of(shape, body):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(body(builder, x))
        builder.emit_func_output(y)
    return builder.get()


def normalized(builder, x, weight, window, groups=1):
    """A binary convolution, or linear layer, and a batch norm after it."""
    is_on = builder.emit(dialect.sign(x))
    product = dialect.dense(is_on, weight) if window is None else dialect.conv2d(is_on, weight, window, groups)
    scale, shift = per_channel(dialect.shape_of(weight)[0])
    real = builder.emit(relax.op.astype(builder.emit(product), "float32"))
    return builder.emit(relax.op.add(builder.emit(relax.op.multiply(real, scale)), shift))


def two_convolutions(channels, window, depth=40, groups=1):
    """The first is only compared and packed, the second gives numbers."""

    def body(builder, x):
        first = normalized(builder, x, signs(channels, *window.kernel, depth), window)
        return normalized(builder, first, signs(channels, 1, 1, channels // groups), Window((1, 1)), groups)

    return module_of((1, 13, 9, depth), body)


def residual_blocks(channels):
    """Numbers and bits of the same sum are needed."""

    def body(builder, x):
        for _ in range(2):
            made = normalized(builder, x, signs(channels, 3, 3, channels), PADDED)
            slope = relax.const(np.linspace(0.1, 0.4, channels, dtype=np.float32))
            negative = builder.emit(relax.op.multiply(made, slope))
            is_positive = builder.emit(relax.op.greater(made, relax.const(0.0)))
            made = builder.emit(relax.op.where(is_positive, made, negative))
            x = builder.emit(relax.op.add(made, x))
        return x

    return module_of((1, 8, 8, channels), body)


def linear_layers(shape, channels):
    def body(builder, x):
        first = normalized(builder, x, signs(channels, shape[-1]), None)
        return normalized(builder, first, signs(channels, channels), None)

    return module_of(shape, body)


def packed(module, isa=AVX512_VPOPCNTDQ):
    return pipeline.run(module, pipeline.pack(isa))


def operators(module):
    return [op_name(binding.value) for binding in bindings(module["main"])]


def choices(module):
    functions = [function for function in module.functions.values() if isinstance(function, tvm.tirx.PrimFunc)]
    return [str(function.attrs[CHOICE]) for function in functions]


def in_tiles(module, emulated_tiles, x):
    """Return what a packed module computes when every layer that can be is counted in tiles, and the kernels' names."""
    scheduled = pipeline.run(count_in_tiles(module, always), pipeline.lower_to(AVX512_VPOPCNTDQ))
    before = emulated_tiles.faults()
    executable = relax.build(emulated_tiles.replace_all(scheduled), target="llvm", tir_pipeline=stack.PIPELINE)
    result = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    assert emulated_tiles.faults() == before
    return result, choices(scheduled)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(two_convolutions(64, PADDED), id="whole words"),
        pytest.param(two_convolutions(32, STRIDED), id="one block of channels, strided"),
        pytest.param(two_convolutions(20, PADDED), id="ragged words"),
        pytest.param(two_convolutions(24, PADDED), id="fewer channels than a word"),
        pytest.param(two_convolutions(16, PADDED), id="one tile of channels"),
        pytest.param(two_convolutions(96, PADDED, depth=70), id="depth that fills no tile"),
        pytest.param(two_convolutions(64, PADDED, groups=2), id="packed for groups"),
        pytest.param(residual_blocks(64), id="residual"),
        pytest.param(residual_blocks(48), id="residual, ragged words"),
        pytest.param(linear_layers((5, 70), 48), id="linear"),
        pytest.param(linear_layers((2, 21, 64), 64), id="linear, rows of rows"),
    ],
)
def test_tiles_give_the_numbers_of_popcount(module, emulated_tiles, evaluate):
    before = packed(module)
    shape = tuple(int(extent) for extent in before["main"].params[0].ty.shape)
    x = RNG.standard_normal(shape).astype(np.float32)
    found, names = in_tiles(before, emulated_tiles, x)
    assert any("_amx/amx-int8" in name for name in names)
    np.testing.assert_array_equal(found, evaluate(before, x))


def test_the_counts_of_a_block_stay_beside_the_core():
    """What follows a layer is computed block by block: no buffer holds the counts of a whole layer."""
    module = pipeline.run(count_in_tiles(packed(residual_blocks(64)), always), pipeline.lower_to(AVX512_VPOPCNTDQ))
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v4"})
    for function in module.functions.values():
        if isinstance(function, tvm.tirx.PrimFunc) and "amx" in str(function.attrs[CHOICE]):
            lowered = tvm.s_tir.transform.CompactBufferAllocation()(
                tvm.s_tir.transform.ConvertBlocksToOpaque()(
                    tvm.s_tir.transform.PlanAndUpdateBufferAllocationLocation()(
                        tvm.IRModule({"main": function.with_attr("target", target)})
                    )
                )
            )
            counts = [line for line in lowered.script().splitlines() if "alloc" in line and '"int32"' in line]
            assert all("(T.int64(1), T.int64(8), T.int64(8), T.int64(32))" in line for line in counts)
            assert counts


def test_each_layer_is_judged():
    module = packed(two_convolutions(64, PADDED))
    layers = []
    count_in_tiles(module, lambda layer: bool(layers.append(layer)))
    assert [(layer.words, layer.blocks, layer.window) for layer in layers] == [
        ((1, 13, 9, 2), 4, PADDED),
        ((1, 13, 9, 2), 4, Window((1, 1))),
    ]
    assert operators(count_in_tiles(module, never)) == operators(module)
    renamed = {
        "relax.bnn.count_conv2d": "relax.bnn.tiled_count_conv2d",
        "relax.bnn.packed_conv2d": "relax.bnn.tiled_conv2d",
    }
    expected = [renamed.get(name, name) for name in operators(module)]
    assert operators(count_in_tiles(module, always)) == expected


def test_grouped_convolutions_and_other_words_stay_with_popcount():
    grouped = packed(two_convolutions(64, PADDED, groups=2))
    assert "relax.bnn.packed_conv2d" in operators(count_in_tiles(grouped, always))
    words_of_16_bits = packed(two_convolutions(64, PADDED), NEON)
    assert operators(count_in_tiles(words_of_16_bits, always)) == operators(words_of_16_bits)


def test_products_of_activations_stay_as_they_are(expect):
    def body(builder, x):
        bits = builder.emit(dialect.sign(x))
        return builder.emit(dialect.matmul(bits, bits))

    module = packed(module_of((2, 20, 64), body))
    expect(lambda before: count_in_tiles(before, always), module, module)


def test_the_pass_is_in_the_list_of_targets_with_tiles_only():
    names = [step.name for step in pipeline.pack(AVX512_VPOPCNTDQ)]
    with_tiles = [step.name for step in pipeline.pack(AVX512_VPOPCNTDQ, tiles=True)]
    assert "count_in_tiles" not in names
    assert [name for name in with_tiles if name != "count_in_tiles"] == names


def test_weights_take_no_more_room_than_for_popcount():
    module = packed(two_convolutions(64, PADDED, 64))
    before, after = (sum(constant_bytes(each)) for each in (module, count_in_tiles(module, always)))
    assert before <= after <= before * 1.1


def constant_bytes(module):
    for binding in bindings(module["main"]):
        for argument in binding.value.args:
            if isinstance(argument, tvm.ir.GenericConst):
                yield argument.value.numpy().nbytes
