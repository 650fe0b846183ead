import numpy as np
import pytest
from tvm import relax

from relay_passes import dialect, pipeline
from relay_passes.pack.pool_bits import pool_bits
from relay_passes.rewrite import bindings, op_name
from schedules.kernels.binary import bits
from schedules.machines import host

CHANNELS = 40
RNG = np.random.default_rng(0)
TAU = RNG.standard_normal(CHANNELS).astype(np.float32)
FLIPPED = RNG.random(CHANNELS) < 0.5


def module_of(word_bits, also_reads=False, **pool):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 11, 8, CHANNELS), "float32"))
    flip = bits.pack_bools(FLIPPED, word_bits)
    with builder.function("main", [x]):
        with builder.dataflow():
            pooled = builder.emit(relax.op.nn.max_pool2d(x, layout="NHWC", **pool))
            words = builder.emit(dialect.pack(pooled, relax.const(TAU), relax.const(flip), word_bits))
            y = builder.emit_output(builder.emit(relax.Tuple([words, pooled])) if also_reads else words)
        builder.emit_func_output(y)
    return builder.get()


def operators(module):
    return [op_name(binding.value) for binding in bindings(module["main"]) if op_name(binding.value)]


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
@pytest.mark.parametrize(
    "pool",
    [
        {"pool_size": [2, 2], "strides": [2, 2]},
        {"pool_size": [3, 3], "strides": [2, 2], "padding": [1, 1, 1, 1]},
        {"pool_size": [3, 2], "strides": [1, 1], "dilation": [2, 1]},
    ],
    ids=str,
)
def test_a_maximum_is_at_least_the_threshold_if_any_value_is(isa, pool, evaluate):
    before = module_of(isa.word_bits, **pool)
    after = pool_bits(before)
    assert operators(after) == ["relax.bnn.pack", "relax.bnn.any_pool"]
    x = RNG.standard_normal((2, 11, 8, CHANNELS)).astype(np.float32)
    expected = evaluate(before, x)
    np.testing.assert_array_equal(evaluate(after, x), expected)
    np.testing.assert_array_equal(evaluate(pipeline.run(after, pipeline.lower_to(isa)), x), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"also_reads": True, "pool_size": [2, 2], "strides": [2, 2]},
        {"pool_size": [2, 2], "strides": [2, 2], "ceil_mode": True},
    ],
    ids=["read elsewhere", "ceil mode"],
)
def test_other_pools_stay_as_they_are(options, expect):
    before = relax.transform.CanonicalizeBindings()(module_of(32, **options))
    expect(pool_bits, before, before)
