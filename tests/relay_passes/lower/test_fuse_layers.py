import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tvm import relax

from relay_passes import dialect
from relay_passes.lower.fuse_layers import fuse_layers, kernel_name, layer_of
from relay_passes.pack.pack_layers import block_channels, pack_layers
from relay_passes.rewrite import op_name
from schedules.machines.isa import AVX512_VPOPCNTDQ

SHAPE = (4, 32)
WEIGHT = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (32, 32))
SCALE = np.linspace(0.5, 1.5, 32, dtype=np.float32)


def packed(body):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(body(builder, x))
        builder.emit_func_output(y)
    return pack_layers(builder.get(), AVX512_VPOPCNTDQ)


def layer(builder, x):
    dot = builder.emit(dialect.dense(builder.emit(dialect.sign(x)), relax.const(WEIGHT)))
    real = builder.emit(relax.op.astype(dot, "float32"))
    return builder.emit(relax.op.multiply(real, relax.const(SCALE)))


def residual_block(builder, x):
    return builder.emit(relax.op.add(layer(builder, x), x))


def two_blocks(builder, x):
    return residual_block(builder, residual_block(builder, x))


def fork(builder, x):
    made = layer(builder, x)
    doubled = builder.emit(relax.op.multiply(made, relax.const(2.0)))
    return builder.emit(relax.op.concat([made, doubled], 0))


def join_of_two_layers(builder, x):
    return builder.emit(relax.op.add(layer(builder, x), layer(builder, builder.emit(relax.op.negative(x)))))


def doubled(builder, x):
    """A layer of 64 channels, with an input of 32 added to either half."""
    weight = relax.const(np.concatenate([WEIGHT, -WEIGHT]))
    dot = builder.emit(dialect.dense(builder.emit(dialect.sign(x)), weight))
    twice = builder.emit(relax.op.tile(x, [1, 2]))
    return builder.emit(relax.op.add(builder.emit(relax.op.astype(dot, "float32")), twice))


def repeated_for_two(builder, x):
    """What one layer reads repeated, and an operator outside of all groups as well."""
    twice = builder.emit(relax.op.tile(x, [1, 2]))
    made = builder.emit(relax.op.add(doubled(builder, x), twice))
    return builder.emit(relax.op.concat([made, twice], 0))


def main_operators(module):
    return [op_name(binding.value) for binding in module["main"].body.blocks[0].bindings if op_name(binding.value)]


def kernels(module):
    return [
        [
            op_name(binding.value).removeprefix("relax.")
            for binding in function.body.blocks[0].bindings
            if op_name(binding.value)
        ]
        for name, function in module.functions.items()
        if name.name_hint != "main"
    ]


def test_a_layer_takes_its_epilogue_and_the_packing_of_its_result():
    fused = fuse_layers(packed(two_blocks))
    assert sorted(kernels(fused)) == [
        ["bnn.pack"],
        ["bnn.packed_dense", "astype", "multiply", "add"],
        ["bnn.packed_dense", "astype", "multiply", "add", "bnn.pack"],
    ]
    assert main_operators(fused) == []


def test_what_is_read_twice_ends_the_fusion():
    fused = fuse_layers(packed(fork))
    assert ["bnn.packed_dense", "astype", "multiply"] in kernels(fused)
    assert ["multiply"] in kernels(fused)


def test_of_two_layers_that_meet_one_takes_the_sum():
    fused = fuse_layers(packed(join_of_two_layers))
    chains = kernels(fused)
    assert ["bnn.packed_dense", "astype", "multiply", "add"] in chains
    assert ["bnn.packed_dense", "astype", "multiply"] in chains


def test_channels_are_repeated_as_they_are_read():
    fused = fuse_layers(packed(doubled))
    assert ["tile", "bnn.packed_dense", "astype", "add"] in kernels(fused)
    assert main_operators(fused) == []


def repeated_input(builder, x):
    return residual_block(
        builder, builder.emit(relax.op.tile(builder.emit(relax.op.strided_slice(x, [1], [0], [16])), [1, 2]))
    )


def repeated_for_layer_and_sum(builder, x):
    """A real layer whose input is also added to its result."""
    half = builder.emit(relax.op.strided_slice(x, [1], [0], [16]))
    twice = builder.emit(relax.op.tile(half, [1, 2]))
    blocked = relax.const(np.ascontiguousarray(block_channels(SCALE[:, None] * WEIGHT, 16)))
    return builder.emit(relax.op.add(builder.emit(dialect.blocked_dense(twice, blocked, 32)), twice))


def test_what_a_layer_itself_reads_is_repeated_before_it():
    assert main_operators(fuse_layers(packed(repeated_for_layer_and_sum)))[-1] == "relax.tile"


@pytest.mark.parametrize(
    "body",
    [
        *(residual_block, two_blocks, fork, join_of_two_layers, doubled, repeated_for_two, repeated_input),
        repeated_for_layer_and_sum,
    ],
)
def test_fusing_changes_no_value(body, evaluate):
    before = packed(body)
    x = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    np.testing.assert_allclose(evaluate(fuse_layers(before), x), evaluate(before, x), rtol=1e-6)


@given(st.text("ab01_.Zxz#~@-é", min_size=1))
def test_layers_are_found_again_by_their_names(layer):
    assert kernel_name(layer).isidentifier()
    assert layer_of(kernel_name(layer)) == layer


def test_names_stay_readable():
    assert kernel_name("layer1.0.conv_a") == "layer_layer1__0__conv_a"
    assert layer_of("lv12") == ""
