import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from relay_passes import dialect
from relay_passes.pack.pull_thresholds import pull_thresholds, switch_of
from relay_passes.rewrite import bindings, op_name
from schedules.kernels.binary import bits

CHANNELS = 32
RNG = np.random.default_rng(0)
SHIFT = RNG.standard_normal(CHANNELS).astype(np.float32)
SCALE = RNG.standard_normal(CHANNELS).astype(np.float32)
FLIP = bits.pack_bools(RNG.random(CHANNELS) < 0.5, 32)


def module_of(chain, also_reads=False):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((50, CHANNELS), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = chain(builder, x)
            words = builder.emit(
                dialect.pack(value, relax.const(np.zeros(CHANNELS, np.float32)), relax.const(FLIP), 32)
            )
            y = builder.emit_output(builder.emit(relax.Tuple([words, value])) if also_reads else words)
        builder.emit_func_output(y)
    return builder.get()


def shift(builder, x):
    return builder.emit(relax.op.add(x, relax.const(SHIFT)))


def scale_and_shift(builder, x):
    return shift(builder, builder.emit(relax.op.multiply(relax.const(SCALE), x)))


def zero_scale(builder, x):
    zeros = np.where(np.arange(CHANNELS) % 3 == 0, 0, SCALE).astype(np.float32)
    return shift(builder, builder.emit(relax.op.multiply(x, relax.const(zeros))))


def clipped_difference(builder, x):
    reverse = builder.emit(relax.op.subtract(relax.const(SHIFT), x))
    clipped = builder.emit(relax.op.clip(builder.emit(relax.op.divide(reverse, relax.const(SCALE))), -1, 1))
    return builder.emit(relax.op.subtract(clipped, relax.const(np.float32(0.25))))


def rectified(builder, x):
    return builder.emit(relax.op.subtract(builder.emit(relax.op.nn.relu(shift(builder, x))), relax.const(0.5)))


@pytest.mark.parametrize("chain", [shift, scale_and_shift, zero_scale, clipped_difference, rectified])
def test_a_pack_compares_the_bottom_of_a_monotone_chain(chain, evaluate):
    before = module_of(chain)
    after = pull_thresholds(before)
    assert [op_name(binding.value) for binding in bindings(after["main"])] == ["relax.bnn.pack"]
    x = RNG.standard_normal((50, CHANNELS)).astype(np.float32)
    x[0] = -SHIFT  # sums that are exactly zero, and what lies next to them
    x[1], x[2] = np.nextafter(x[0], np.float32(np.inf)), np.nextafter(x[0], np.float32(-np.inf))
    x[3], x[4] = (3e38, -3e38) if chain is zero_scale else (np.inf, -np.inf)  # zero times infinity is NaN
    np.testing.assert_array_equal(evaluate(after, x), evaluate(before, x))


def test_a_value_that_others_read_is_compared_itself(expect):
    before = relax.transform.CanonicalizeBindings()(module_of(shift, also_reads=True))
    expect(pull_thresholds, before, before)


def test_chains_that_may_switch_twice_are_left_alone(expect):
    before = relax.transform.CanonicalizeBindings()(module_of(lambda builder, x: builder.emit(relax.op.abs(x))))
    expect(pull_thresholds, before, before)


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False), st.booleans(), st.floats(width=32, allow_nan=False))
def test_the_switch_is_found_among_all_numbers(tau, rises, tried):
    limit = np.float32(tau)

    def is_on(values):
        return (values >= limit) == rises

    found, upwards = switch_of(is_on, np.array([1.0 if rises else -1.0]))
    number = np.array([tried], np.float32)
    assert ((number >= found) == upwards) == is_on(number)
