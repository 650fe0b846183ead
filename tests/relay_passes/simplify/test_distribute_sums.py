import numpy as np
import pytest
from tvm import relax

from relay_passes import pipeline
from relay_passes.analysis.layers import layers_of
from relay_passes.canonicalize.binarize import binarize
from relay_passes.rewrite import bindings, op_name
from relay_passes.simplify.distribute_sums import distribute_sums

WEIGHT = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (8, 4, 3, 3))
SHAPE = (2, 4, 6, 5)


def module_of(activation, weight=WEIGHT):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(relax.op.nn.conv2d(activation(builder, x), relax.const(weight), padding=1))
        builder.emit_func_output(y)
    return builder.get()


def magnitude(builder, x):
    return builder.emit(relax.op.mean(builder.emit(relax.op.abs(x)), [1, 2, 3], keepdims=True))


def two_orders(builder, x):
    """HORQ: the sign of x, and the sign of what it leaves, each times its mean magnitude in the sample."""
    first_scale = magnitude(builder, x)
    first = builder.emit(relax.op.multiply(builder.emit(relax.op.sign(x)), first_scale))
    rest = builder.emit(relax.op.subtract(x, first))
    second = builder.emit(relax.op.multiply(builder.emit(relax.op.sign(rest)), magnitude(builder, rest)))
    return builder.emit(relax.op.add(first, second))


def three_bases(builder, x):
    total = None
    for shift, beta in ((-0.5, 0.7), (0.1, 1.3), (0.8, 0.4)):
        moved = builder.emit(relax.op.add(x, relax.const(shift)))
        scale = builder.emit(relax.op.multiply(magnitude(builder, x), relax.const(beta)))
        term = builder.emit(relax.op.multiply(builder.emit(relax.op.sign(moved)), scale))
        total = term if total is None else builder.emit(relax.op.add(total, term))
    return total


def layers_in(module):
    return sum(op_name(binding.value) == "relax.nn.conv2d" for binding in bindings(module["main"]))


@pytest.mark.parametrize(("activation", "terms"), [(two_orders, 2), (three_bases, 3)])
def test_a_layer_of_a_sum_becomes_a_layer_for_each_term(activation, terms, evaluate):
    before = module_of(activation)
    after = distribute_sums(before)
    assert layers_in(after) == terms
    x = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x), evaluate(before, x), rtol=1e-4, atol=1e-4)
    simplified = pipeline.run(before, pipeline.simplify())
    assert all(layer.float_reason is None for layer in layers_of(simplified))
    binarized = binarize(simplified)
    assert layers_in(binarized) == 0
    np.testing.assert_allclose(evaluate(binarized, x), evaluate(before, x), rtol=1e-4, atol=1e-4)


def real_and_sign(builder, x):
    return builder.emit(relax.op.add(x, builder.emit(relax.op.sign(x))))


def few_values_anyway(builder, x):
    half = builder.emit(relax.op.multiply(builder.emit(relax.op.sign(x)), relax.const(0.5)))
    return builder.emit(relax.op.add(builder.emit(relax.op.round(builder.emit(relax.op.clip(x, 0, 1)))), half))


@pytest.mark.parametrize("activation", [real_and_sign, few_values_anyway])
def test_other_sums_stay_in_one_layer(activation):
    assert layers_in(distribute_sums(module_of(activation))) == 1
