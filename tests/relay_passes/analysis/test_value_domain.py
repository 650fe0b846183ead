import numpy as np
import pytest
from tvm import relax

from relay_passes.analysis.value_domain import ValueDomains
from relay_passes.analysis.values import Values, describe, listed, of_array, union

SHAPE = (1, 4, 4, 2)
#: More values than a domain lists, but one magnitude for each of 20 output channels.
SCALED_SIGNS = np.array([[1.0], [-1.0]], np.float32) * np.arange(1, 21, dtype=np.float32)
REAL = np.random.default_rng(0).standard_normal(SCALED_SIGNS.shape).astype(np.float32)


def domain_of(make, moved=True, proves_zeros=False):
    """The values of ``make`` of a tensor without exact zeros by construction; of a model's input if not ``moved``."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            moved_x = builder.emit(relax.op.add(x, relax.const(0.1))) if moved else x
            made = builder.emit(make(builder, moved_x))
            y = builder.emit_output(made)
        builder.emit_func_output(y)
    function = builder.get()["main"]
    return ValueDomains.of_function(function, proves_zeros).of(function.body.blocks[0].bindings[-1].var)


def signs(builder, x):
    return builder.emit(relax.op.sign(x))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda b, x: relax.op.tanh(x), None),
        (lambda b, x: relax.op.sign(x), {-1, 1}),
        (lambda b, x: relax.op.greater(x, relax.const(0.0)), {0, 1}),
        (lambda b, x: relax.op.nn.relu(signs(b, x)), {0, 1}),
        (lambda b, x: relax.op.sign(b.emit(relax.op.nn.relu(x))), {0, 1}),
        (lambda b, x: relax.op.sign(b.emit(relax.op.clip(x, 0, 1))), {0, 1}),
        (lambda b, x: relax.op.sign(b.emit(relax.op.clip(x, -1, 1))), {-1, 1}),
        (lambda b, x: relax.op.sign(b.emit(relax.op.nn.pad(x, [0, 0, 1, 1, 1, 1, 0, 0], "constant", 0.0))), {-1, 0, 1}),
        (lambda b, x: relax.op.sign(b.emit(relax.op.abs(x))), {1}),
        (lambda b, x: relax.op.multiply(x, b.emit(relax.op.zeros_like(x))), {0}),
        (
            lambda b, x: relax.op.sign(b.emit(relax.op.matmul(signs(b, x), relax.const(np.eye(2, dtype="float32"))))),
            {-1, 0, 1},
        ),
        (
            lambda b, x: relax.op.sign(b.emit(relax.op.matmul(signs(b, x), relax.const(SCALED_SIGNS)))),
            {-1, 0, 1},
        ),
        (
            lambda b, x: relax.op.sign(b.emit(relax.op.matmul(signs(b, x), relax.const(SCALED_SIGNS + REAL)))),
            {-1, 1},
        ),
        (
            lambda b, x: relax.op.round(b.emit(relax.op.multiply(b.emit(relax.op.clip(x, 0, 1)), relax.const(3.0)))),
            {0, 1, 2, 3},
        ),
        (lambda b, x: relax.op.sign(b.emit(relax.op.add(b.emit(relax.op.nn.relu(x)), relax.const(0.5)))), {1}),
        (lambda b, x: relax.op.add(signs(b, x), signs(b, x)), {-2, 0, 2}),
        (lambda b, x: relax.op.multiply(signs(b, x), relax.const(np.array([1, 3], np.float32))), {-3, -1, 1, 3}),
        (lambda b, x: relax.op.reshape(signs(b, x), (32,)), {-1, 1}),
        (lambda b, x: relax.op.nn.pad(signs(b, x), [0, 0, 1, 1, 1, 1, 0, 0], "constant", -1.0), {-1, 1}),
        (lambda b, x: relax.op.concat([signs(b, x), b.emit(relax.op.zeros(SHAPE, "float32"))], 3), {-1, 0, 1}),
        (
            lambda b, x: relax.op.multiply(signs(b, x), relax.const(np.arange(32, dtype=np.float32).reshape(SHAPE))),
            None,
        ),
    ],
)
def test_a_tensors_values_follow_from_its_operators(make, expected):
    domain = domain_of(make)
    assert domain == (None if expected is None else frozenset(expected))


def test_zeros_are_as_likely_in_an_input_as_any_other_value():
    assert domain_of(lambda _b, x: relax.op.sign(x), moved=False) == {-1, 0, 1}


def test_a_mean_of_what_is_rectified_keeps_its_zeros():
    def mean_of_relu(builder, x):
        return relax.op.sign(builder.emit(relax.op.mean(builder.emit(relax.op.nn.relu(x)), [1, 2])))

    assert domain_of(mean_of_relu) == {0, 1}


@pytest.mark.parametrize(("axes", "expected"), [([1, 2], {-1, 0, 1}), ([1], {-1, 0, 1}), ([0], {-1, 1})])
def test_means_of_evenly_many_signs_cancel(axes, expected):
    assert domain_of(lambda b, x: relax.op.sign(b.emit(relax.op.mean(signs(b, x), axes)))) == expected


def test_a_sum_of_signs_cancels_and_one_of_what_is_rectified_does_not():
    assert domain_of(lambda b, x: relax.op.sign(b.emit(relax.op.sum(signs(b, x), [1, 2])))) == {-1, 0, 1}
    rectified = lambda b, x: b.emit(relax.op.nn.relu(x))  # noqa: E731
    assert domain_of(lambda b, x: relax.op.sign(b.emit(relax.op.sum(rectified(b, x), [1, 2])))) == {0, 1}


@pytest.mark.parametrize(("mean", "expected"), [(2.5, {-1, 1}), (3.0, {-1, 0, 1}), (9.0, {-1, 0, 1}), (11.0, {-1, 1})])
def test_a_sign_behind_a_layer_of_signs_is_tried_on_every_sum(mean, expected):
    weight = relax.const(np.ones((2, 3, 3, 1), np.float32))

    def batch_norm_and_sign(builder, x):
        one_channel = builder.emit(relax.op.strided_slice(signs(builder, x), [3], [0], [1]))
        dot = builder.emit(relax.op.nn.conv2d(one_channel, weight, padding=1, data_layout="NHWC", kernel_layout="OHWI"))
        shift = relax.const(np.array([mean, 0.5], np.float32))
        return relax.op.sign(builder.emit(relax.op.subtract(dot, shift)))

    assert domain_of(batch_norm_and_sign, proves_zeros=True) == expected


def test_the_union_with_many_values_is_many_values():
    assert union(listed([1.0]), Values()).few is None
    assert union(listed([1.0]), listed([2.0])).few == {1.0, 2.0}


def test_domains_read_as_sets():
    assert describe(frozenset({1.0, -1.0})) == "{-1, 1}"
    assert describe(None) == "many values"


def padded_sign(builder, x):
    return signs(builder, builder.emit(relax.op.nn.pad(x, [0, 0, 1, 1, 1, 1, 0, 0], "constant", 0.0)))


@pytest.mark.parametrize(
    ("compare", "first", "expected"),
    [
        (relax.op.equal, False, {-1, 1}),
        (relax.op.not_equal, True, {-1, 1}),
        (relax.op.not_equal, False, {-1, 0, 1}),
        (relax.op.greater, False, {-1, 0, 1}),
    ],
)
def test_a_zero_that_is_replaced_is_no_value_any_more(compare, first, expected):
    def make(builder, x):
        sign = padded_sign(builder, x)
        condition = builder.emit(compare(sign, relax.const(0.0)))
        branches = (sign, relax.const(1.0)) if first else (relax.const(1.0), sign)
        return relax.op.where(condition, *branches)

    assert domain_of(make) == expected


def test_a_zero_of_another_tensor_is_not_replaced():
    def make(builder, x):
        sign = padded_sign(builder, x)
        condition = builder.emit(relax.op.equal(builder.emit(relax.op.negative(sign)), relax.const(0.0)))
        return relax.op.where(condition, relax.const(1.0), sign)

    assert domain_of(make) == {-1, 0, 1}


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize("size", [1, 4096, 4097, 70_000])
@pytest.mark.parametrize("count", [1, 2, 16, 17, 5000])
def test_a_constant_is_known_by_its_values_wherever_they_stand(dtype, size, count):
    array = (np.random.default_rng(count).integers(0, count, size) - count // 2).astype(dtype)
    assert of_array(array.reshape(1, -1)) == listed(array.astype(float).tolist())


def test_a_constant_of_which_only_the_last_value_differs_takes_two_values():
    array = np.ones(50_000, np.float32)
    array[-1] = 0
    assert of_array(array) == Values(frozenset({0.0, 1.0}), 0.0, 1.0, True)


@pytest.mark.parametrize("array", [np.zeros((0,), np.float32), np.array([1, np.nan], np.float32)])
def test_nothing_is_known_of_no_values_and_of_no_numbers(array):
    assert of_array(array) == Values()
