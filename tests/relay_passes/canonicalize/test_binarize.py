import numpy as np
import pytest
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes import dialect  # noqa: F401  (declares R.bnn)
from relay_passes.analysis.layers import layers_of
from relay_passes.analysis.weight_planes import weight_planes
from relay_passes.canonicalize.binarize import binarize

SIGNS = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (2, 3, 3, 4))
SCALES = np.array([0.5, 3], np.float32)
W_SIGNS, W_SCALED = relax.const(SIGNS), relax.const(SIGNS * SCALES.reshape(2, 1, 1, 1))
SCALE = relax.const(SCALES)
W_OFFSET = relax.const(SIGNS * np.float32(0.5) + np.array([0.25, -2], np.float32).reshape(2, 1, 1, 1))
W_TERNARY = relax.const(np.where(np.arange(72).reshape(2, 3, 3, 4) % 5 == 0, 0, SIGNS).astype(np.float32))
W_REAL = relax.const(np.random.default_rng(1).standard_normal((2, 3, 3, 4)).astype(np.float32))


def module_of(weight, activation):
    """One NHWC convolution whose input is ``activation(x)``."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 8, 8, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            signs = builder.emit(activation(builder, x))
            convolved = relax.op.nn.conv2d(signs, weight, padding=1, data_layout="NHWC", kernel_layout="OHWI")
            y = builder.emit_output(builder.emit(convolved))
        builder.emit_func_output(y)
    return builder.get()


def sign(_builder, x):
    return relax.op.sign(x)


def test_signs_times_scaled_signs_become_a_binary_convolution_and_a_scale(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 4), "float32")) -> R.Tensor((1, 8, 8, 2), "float32"):
            with R.dataflow():
                v = R.add(x, R.const(0.1))
                s = R.sign(v)
                y = R.nn.conv2d(s, W_SCALED, padding=[1, 1, 1, 1], data_layout="NHWC", kernel_layout="OHWI")
                R.output(y)
            return y

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 4), "float32")) -> R.Tensor((1, 8, 8, 2), "float32"):
            with R.dataflow():
                v = R.add(x, R.const(0.1))
                s = R.bnn.sign(v, zero=1)
                dot = R.bnn.conv2d(
                    s,
                    W_SIGNS,
                    groups=1,
                    pad_sign=0,
                    kernel=[3, 3],
                    strides=[1, 1],
                    padding=[1, 1, 1, 1],
                    dilation=[1, 1],
                )
                real = R.astype(dot, "float32")
                y = R.multiply(real, SCALE)
                R.output(y)
            return y

    expect(binarize, Before, Expected)


def where_one_else_minus_one(builder, x):
    at_least_zero = builder.emit(relax.op.greater_equal(x, relax.const(0.0)))
    return relax.op.where(at_least_zero, relax.const(1.0), relax.const(-1.0))


def comparison_times_two_minus_one(builder, x):
    compared = builder.emit(relax.op.astype(builder.emit(relax.op.greater(x, relax.const(0.0))), "float32"))
    return relax.op.subtract(builder.emit(relax.op.multiply(compared, relax.const(2.0))), relax.const(1.0))


def scaled_sign(builder, x):
    return relax.op.multiply(builder.emit(relax.op.sign(x)), relax.const(0.25))


def maximum_of_signs(builder, x):
    signs = builder.emit(relax.op.sign(x))
    return relax.op.nn.max_pool2d(signs, pool_size=[1, 1], layout="NHWC")


def zero_or_one(builder, x):
    return relax.op.astype(builder.emit(relax.op.greater(x, relax.const(0.0))), "float32")


def rectified_sign(builder, x):
    return relax.op.nn.relu(builder.emit(relax.op.sign(x)))


def zero_padded_sign(builder, x):
    return relax.op.nn.pad(builder.emit(relax.op.sign(x)), [0, 0, 1, 1, 1, 1, 0, 0], "constant", 0.0)


def two_values(builder, x):
    return relax.op.where(builder.emit(relax.op.greater(x, relax.const(0.3))), relax.const(0.75), relax.const(-1.25))


def sign_of_what_is_often_zero(builder, x):
    return relax.op.sign(builder.emit(relax.op.clip(x, 0, 1)))


def three_values(builder, x):
    rounded = builder.emit(relax.op.round(builder.emit(relax.op.clip(x, -1, 1))))
    return relax.op.multiply(rounded, relax.const(0.5))


@pytest.mark.parametrize(
    "activation",
    [
        sign,
        where_one_else_minus_one,
        comparison_times_two_minus_one,
        scaled_sign,
        maximum_of_signs,
        zero_or_one,
        rectified_sign,
        zero_padded_sign,
        two_values,
        sign_of_what_is_often_zero,
        three_values,
    ],
)
@pytest.mark.parametrize("weight", [W_SIGNS, W_SCALED, W_OFFSET], ids=["signs", "scaled", "offset"])
def test_values_decide_not_spelling(activation, weight, evaluate):
    before = module_of(weight, activation)
    after = binarize(before)
    assert "bnn.conv2d" in after.script()
    x = np.random.default_rng(2).standard_normal((1, 8, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x), evaluate(before, x), rtol=1e-5, atol=1e-5)


def two_bits(builder, x):
    moved = builder.emit(relax.op.add(x, relax.const(0.1)))
    return relax.op.add(builder.emit(relax.op.sign(moved)), builder.emit(scaled_sign(builder, moved)))


def four_levels(builder, x):
    scaled = builder.emit(relax.op.multiply(builder.emit(relax.op.clip(x, 0, 1)), relax.const(3.0)))
    return relax.op.divide(builder.emit(relax.op.round(scaled)), relax.const(3.0))


def signed_levels(builder, x):
    return relax.op.round(builder.emit(relax.op.clip(x, -2, 1)))


def sixteen_values(builder, x):
    scaled = builder.emit(relax.op.multiply(builder.emit(relax.op.clip(x, 0, 1)), relax.const(15.0)))
    return relax.op.round(scaled)


def chosen(builder, x, *values):
    """The i-th value where x is between i - 1 and i tenths."""
    made = relax.const(float(values[0]))
    for index, value in enumerate(values[1:]):
        above = builder.emit(relax.op.greater(x, relax.const(0.4 * index - 0.4)))
        made = builder.emit(relax.op.where(above, relax.const(float(value)), made))
    return made


def five_uneven_values(builder, x):
    return chosen(builder, x, -2, -0.7, 0.1, 0.6, 3)


def two_learned_bases(builder, x):
    return chosen(builder, x, -0.9, -0.1, 0.3, 1.1)


W_LADDER = relax.const(np.random.default_rng(4).integers(-3, 5, (2, 3, 3, 4)).astype(np.float32) * np.float32(0.3))
W_BASES = relax.const(
    sum(
        np.float32(alpha) * np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), (2, 3, 3, 4))
        for seed, alpha in enumerate((0.31, 0.57, 1.23))
    )
)
W_SIXTEEN = relax.const(np.random.default_rng(5).integers(-8, 8, (8, 3, 3, 4)).astype(np.float32))


@pytest.mark.parametrize(
    ("activation", "weight", "planes"),
    [
        (sign, W_TERNARY, (2, 2)),
        (two_bits, W_SIGNS, (2, 1)),
        (four_levels, W_SCALED, (2, 1)),
        (four_levels, W_LADDER, (2, 3)),
        (signed_levels, W_OFFSET, (2, 1)),
        (signed_levels, W_BASES, (2, 3)),
        (two_learned_bases, W_TERNARY, (2, 2)),
        (sixteen_values, W_SIGNS, (4, 1)),
    ],
)
def test_few_values_become_sums_of_bit_planes(activation, weight, planes, evaluate):
    before = module_of(weight, activation)
    (layer,) = layers_of(before)
    assert layer.bit_planes == planes
    assert not layer.is_binary
    after = binarize(before)
    assert after.script().count("R.bnn.conv2d(") >= planes[0] * planes[1]
    assert "R.nn.conv2d(" not in after.script()
    x = np.random.default_rng(2).standard_normal((1, 8, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x), evaluate(before, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "weight", "reason"),
    [
        (lambda _builder, x: relax.op.tanh(x), W_SIGNS, "its input takes many values"),
        (five_uneven_values, W_SIGNS, "its input takes {-2, -0.7, 0.1, 0.6, 3}, which are no sum of a few signs"),
        (sign, W_REAL, "its weights take more than a few values: channel 0 holds 36 different values"),
        (sixteen_values, W_SIXTEEN, "it would take 4 x 4 binary products; float is faster"),
    ],
)
def test_look_alikes_stay_float_and_the_reason_names_the_values(activation, weight, reason, expect):
    before = relax.transform.CanonicalizeBindings()(module_of(weight, activation))
    (layer,) = layers_of(before)
    assert layer.float_reason is not None
    assert reason in layer.float_reason
    expect(binarize, before, before)


def test_the_rounding_of_the_detach_idiom_is_tolerated_and_removed():
    scale = np.float32(0.003)
    surrogate = np.random.default_rng(3).uniform(-1, 1, SIGNS.shape).astype(np.float32)
    noisy = (scale * SIGNS - surrogate) + surrogate
    assert len(np.unique(np.abs(noisy))) > 1
    weight = weight_planes(noisy)
    assert not isinstance(weight, str)
    np.testing.assert_array_equal(weight.signs, SIGNS[None])
    np.testing.assert_allclose(weight.scales, scale, rtol=1e-4)


def test_a_channel_of_zeros_has_scale_zero():
    weight = weight_planes(SIGNS * np.array([0, 1], np.float32).reshape(2, 1, 1, 1))
    assert not isinstance(weight, str)
    assert weight.scales.tolist() == [[0, 1]]
    assert weight.offset.tolist() == [0, 0]
    assert (np.abs(weight.signs) == 1).all()


@pytest.mark.parametrize("weight", [W_SIGNS, W_OFFSET, W_LADDER], ids=["signs", "offset", "ladder"])
@pytest.mark.parametrize("activation", [two_values, two_learned_bases])
def test_what_an_offset_leaves_at_borders_is_stored_once_for_each_kind_of_position(activation, weight):
    tables = []

    def find(node):
        if isinstance(node, relax.Call) and getattr(node.op, "name", "") == "relax.bnn.at_border":
            tables.append(tuple(int(extent) for extent in node.args[0].ty.shape))

    after = binarize(module_of(weight, activation))
    relax.analysis.post_order_visit(after["main"], find)
    assert {table[:2] for table in tables} == {(3, 3)}
