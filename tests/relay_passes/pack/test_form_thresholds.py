import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tvm import relax

from relay_passes import dialect
from relay_passes.pack.form_thresholds import form_thresholds, reachable, stretch, switches
from relay_passes.pack.pack_layers import pack_layers
from relay_passes.rewrite import op_name
from schedules.machines.isa import AVX512_VPOPCNTDQ

DEPTH, CHANNELS = 40, 32
WEIGHT = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (CHANNELS, DEPTH))


def module_with(epilogue):
    """Binary linear layer, ``epilogue(builder, real dot)``, sign, binary linear layer."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((5, DEPTH), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            dot = builder.emit(dialect.dense(builder.emit(dialect.sign(x)), relax.const(WEIGHT)))
            value = builder.emit(epilogue(builder, builder.emit(relax.op.astype(dot, "float32"))))
            after = dialect.dense(
                builder.emit(dialect.sign(value)), relax.const(np.eye(CHANNELS, dtype=np.float32) * 2 - 1)
            )
            y = builder.emit_output(builder.emit(after))
        builder.emit_func_output(y)
    return pack_layers(builder.get(), AVX512_VPOPCNTDQ)


def per_channel(seed, low=-2.0, high=2.0):
    return relax.const(np.random.default_rng(seed).uniform(low, high, CHANNELS).astype(np.float32))


def scale_and_shift(builder, dot):
    return relax.op.add(builder.emit(relax.op.multiply(dot, per_channel(1))), per_channel(2, -20, 20))


def prelu(builder, dot):
    value = builder.emit(scale_and_shift(builder, dot))
    positive = builder.emit(relax.op.greater(value, relax.const(0.0)))
    slope = builder.emit(relax.op.multiply(value, per_channel(3, 0.1, 0.5)))
    return relax.op.where(positive, value, slope)


def hard_tanh_then_shift(builder, dot):
    return relax.op.subtract(builder.emit(relax.op.clip(dot, -1, 1)), relax.const(0.5))


def constant_sign(builder, dot):
    return relax.op.add(builder.emit(relax.op.abs(dot)), relax.const(1.0))


def operators(module):
    return [op_name(binding.value) for binding in module["main"].body.blocks[0].bindings]


@pytest.mark.parametrize("epilogue", [scale_and_shift, prelu, hard_tanh_then_shift, constant_sign])
def test_a_chain_of_per_channel_operators_becomes_one_integer_comparison(epilogue, evaluate):
    before = module_with(epilogue)
    after = form_thresholds(before)
    layer = ["relax.bnn.pack", "relax.bnn.packed_dense"]
    assert operators(after) == layer + layer
    x = np.random.default_rng(4).standard_normal((5, DEPTH)).astype(np.float32)
    np.testing.assert_array_equal(evaluate(after, x), evaluate(before, x))


def absolute_minus_three(builder, dot):
    return relax.op.subtract(builder.emit(relax.op.abs(dot)), relax.const(3.0))


def gelu(builder, dot):
    scaled = builder.emit(relax.op.multiply(dot, per_channel(5, 0.1, 1.0)))
    return relax.op.nn.gelu(builder.emit(relax.op.add(scaled, per_channel(6))))


@pytest.mark.parametrize("epilogue", [absolute_minus_three, gelu])
def test_a_channel_that_switches_twice_becomes_the_comparison_with_a_range(epilogue, evaluate):
    before = module_with(epilogue)
    after = form_thresholds(before)
    layer = ["relax.bnn.pack", "relax.bnn.packed_dense"]
    assert operators(after) == [*layer, "relax.subtract", "relax.astype", *layer]
    x = np.random.default_rng(4).standard_normal((5, DEPTH)).astype(np.float32)
    # Rows of the weight and their opposites reach both ends of what a channel can sum to.
    x[:2] = WEIGHT[0], -WEIGHT[0]
    np.testing.assert_array_equal(evaluate(after, x), evaluate(before, x))


def test_a_channel_that_switches_more_often_keeps_its_expression(expect):
    def twice_absolute(builder, dot):
        inner = builder.emit(absolute_minus_three(builder, dot))
        return relax.op.subtract(builder.emit(relax.op.abs(inner)), relax.const(2.0))

    before = module_with(twice_absolute)
    expect(form_thresholds, before, before)


def test_what_reads_another_tensor_keeps_its_expression(expect):
    def with_residual(builder, dot):
        other = builder.emit(relax.op.zeros((5, CHANNELS), "float32"))
        return relax.op.add(dot, other)

    before = module_with(with_residual)
    expect(form_thresholds, before, before)


@settings(max_examples=200)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 4))))
def test_a_threshold_is_found_exactly_where_there_is_one(on):
    values = np.arange(len(on), dtype=np.int32) * 2 - len(on)
    found = switches(on, values)
    changes = np.abs(np.diff(on.astype(int), axis=0)).sum(axis=0)
    if found is None:
        assert (changes > 1).any()
    else:
        tau, flip = found
        np.testing.assert_array_equal((values[:, None] >= tau) ^ flip, on)


@settings(max_examples=200)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 4))))
def test_a_range_is_found_exactly_where_there_is_one(on):
    values = np.arange(len(on), dtype=np.int32) - len(on) // 2
    found = stretch(on, values)
    if found is None:
        assert (np.abs(np.diff(on.astype(int), axis=0)).sum(axis=0) > 2).any()
    else:
        first, length, flip = found
        np.testing.assert_array_equal(((values[:, None] - first).astype(np.uint32) >= length) ^ flip, on)


def test_every_integer_of_a_layer_is_tried():
    layer = module_with(scale_and_shift)["main"].body.blocks[0].bindings[1].value
    values = reachable(layer)
    assert values[0] <= -DEPTH
    assert values[-1] >= DEPTH
    assert (np.diff(values) == 1).all()
