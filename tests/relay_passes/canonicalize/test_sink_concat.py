import numpy as np
import pytest
from tvm import relax

from relay_passes.canonicalize.sink_concat import sink_concat
from relay_passes.rewrite import bindings, op_name

RNG = np.random.default_rng(0)
SHAPE = (1, 6, 6, 4)


def per_channel(channels):
    return relax.const(RNG.standard_normal(channels).astype(np.float32))


def module_of(tail, also_reads_part=False):
    """``tail(concat(exp(x), tanh(x)))``: 8 channels of two branches."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            left, right = builder.emit(relax.op.exp(x)), builder.emit(relax.op.tanh(x))
            made = tail(builder, builder.emit(relax.op.concat([left, right], axis=-1)))
            if also_reads_part:
                made = builder.emit(relax.op.concat([made, left], axis=-1))
            y = builder.emit_output(made)
        builder.emit_func_output(y)
    return builder.get()


def prelu(builder, x):
    shifted = builder.emit(relax.op.add(x, per_channel(8)))
    positive = builder.emit(relax.op.greater(shifted, relax.const(0.0)))
    slope = builder.emit(relax.op.multiply(shifted, per_channel((1, 1, 1, 8))))
    return builder.emit(relax.op.where(positive, shifted, slope))


def pooled_prelu(builder, x):
    return builder.emit(relax.op.nn.avg_pool2d(prelu(builder, x), [2, 2], [2, 2], layout="NHWC"))


def scale_per_pixel(builder, x):
    scale = builder.emit(relax.op.mean(x, [3], keepdims=True))
    return builder.emit(relax.op.multiply(x, scale))


def last_operator(module):
    return [op_name(binding.value) for binding in bindings(module["main"]) if op_name(binding.value)][-1]


@pytest.mark.parametrize("tail", [prelu, pooled_prelu, scale_per_pixel])
def test_operators_apply_to_each_branch(tail, evaluate):
    before = module_of(tail)
    after = sink_concat(before)
    assert last_operator(before) != "relax.concat"
    assert last_operator(after) == "relax.concat"
    x = RNG.standard_normal(SHAPE).astype(np.float32)
    np.testing.assert_array_equal(evaluate(after, x), evaluate(before, x))


def spatial_constant_of_other_width(builder, x):
    return builder.emit(relax.op.add(x, builder.emit(relax.op.mean(x, [1], keepdims=True))))


def reduction(builder, x):
    return builder.emit(relax.op.max(x, [3]))


@pytest.mark.parametrize("tail", [spatial_constant_of_other_width, reduction])
def test_what_cannot_be_split_stays_behind(tail, expect):
    before = relax.transform.CanonicalizeBindings()(module_of(tail))
    expect(sink_concat, before, before)


def test_branches_that_others_read_stay_joined():
    before = module_of(prelu, also_reads_part=True)
    after = sink_concat(before)
    counts = [sum(op_name(b.value) == "relax.where" for b in bindings(module["main"])) for module in (before, after)]
    assert counts == [1, 1]
