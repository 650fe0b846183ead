import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tvm import relax

from relay_passes import dialect, pipeline
from relay_passes.pack.round_limits import normal_limits, round_limits
from relay_passes.rewrite import array_of, bindings
from schedules.kernels.binary import bits
from schedules.machines.isa import ISAS, NEON_ARMV7

LEAST = np.finfo(np.float32).smallest_normal
FLOATS = st.floats(width=32, allow_nan=False)
NEAR_ZERO = st.floats(float(-2 * LEAST), float(2 * LEAST), width=32)


def flushed(value):
    return np.float32(0) if abs(value) < LEAST else value


@given(value=FLOATS | NEAR_ZERO, limit=FLOATS | NEAR_ZERO)
def test_vectors_that_flush_compare_as_others_do(value, limit):
    value, limit = flushed(np.float32(value)), np.float32(limit)
    rounded = normal_limits(np.array([limit]))[0]
    assert flushed(rounded) == rounded
    assert (value >= rounded) == (value >= limit)


def module_of(tau, dtype):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((5, len(tau)), dtype))
    with builder.function("main", [x]):
        with builder.dataflow():
            flip = bits.pack_bools(np.zeros(len(tau), np.bool_), 16)
            words = builder.emit_output(dialect.pack(x, relax.const(tau), relax.const(flip), 16))
        builder.emit_func_output(words)
    return builder.get()


def limits_of(module):
    (binding,) = bindings(module["main"])
    return array_of(binding.value.args[1])


def test_limits_become_normal_numbers():
    tau = np.array([0, 1e-45, -1e-45, LEAST, -LEAST, 3, np.nan, np.inf], np.float32)
    expected = np.array([0, LEAST, 0, LEAST, -LEAST, 3, np.nan, np.inf], np.float32)
    np.testing.assert_array_equal(limits_of(round_limits(module_of(tau, "float32"))), expected)


@pytest.mark.parametrize(
    ("tau", "dtype"), [(np.arange(8, dtype=np.float32), "float32"), (np.arange(-4, 4, dtype=np.int32), "int32")]
)
def test_other_limits_stay(expect, tau, dtype):
    expect(round_limits, module_of(tau, dtype), module_of(tau, dtype))


def test_it_is_asked_for_by_the_instruction_set():
    asking = [isa for isa in ISAS if any(step.name == "round_limits" for step in pipeline.pack(isa))]
    assert asking == [NEON_ARMV7]
