"""Products with a constant operand: equal matrices are one, different ones are groups, and nothing else changes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from relay_passes import pipeline
from relay_passes.analysis.evaluate import evaluate
from relay_passes.analysis.layers import groups_of, layers_of
from relay_passes.canonicalize.binarize import binarize
from relay_passes.dialect import shape_of
from relay_passes.rewrite import array_of, bindings, is_constant, op_name
from relay_passes.simplify.settle_products import settle_products


def product(shape, weight, left=False, activation=None):
    """``x @ weight``, or ``weight @ x``, of an input of that shape."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = x if activation is None else builder.emit(activation(x))
            operands = (relax.const(weight), value) if left else (value, relax.const(weight))
            y = builder.emit_output(builder.emit(relax.op.matmul(*operands)))
        builder.emit_func_output(y)
    return builder.get()


def run(module, x):
    """Evaluate products and moves in NumPy."""
    function = module["main"]
    values = {function.params[0]: x}
    for binding in bindings(function):
        node = binding.value
        if isinstance(node, relax.Var):
            values[binding.var] = values[node]
            continue
        tensors = [arg for arg in node.args if isinstance(arg.ty, relax.TensorType)]
        args = [array_of(arg) if is_constant(arg) else values[arg] for arg in tensors]
        is_product = op_name(node) == "relax.matmul"
        values[binding.var] = np.matmul(*args) if is_product else evaluate(node, args)
    return values[function.body.body]


def products_of(module):
    return [binding.value for binding in bindings(module["main"]) if op_name(binding.value) == "relax.matmul"]


AXES = st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=0, max_size=4)


@settings(max_examples=60, deadline=None)
@given(axes=AXES, flat=st.booleans(), left=st.booleans(), seed=st.integers(0, 99))
def test_a_stack_however_it_repeats_is_as_many_matrices_as_differ(axes, flat, left, seed):
    rng = np.random.default_rng(seed)
    extents = tuple(extent for extent, _ in axes)
    own = tuple(extent if is_own else 1 for extent, is_own in axes)
    rows, depth, columns = 3, 4, 5
    weight = rng.integers(-9, 9, (*own, depth, columns)).astype(np.float32)
    x = rng.integers(-9, 9, (*extents, rows, depth)).astype(np.float32)
    stack = np.broadcast_to(weight, (*extents, depth, columns))
    if flat:
        stack = stack.reshape(math.prod(extents), depth, columns)
        x = x.reshape(math.prod(extents), rows, depth)
    if left:
        x, stack = x.swapaxes(-1, -2), stack.swapaxes(-1, -2)
    before = product(x.shape, np.ascontiguousarray(stack), left)
    after = settle_products(before)
    np.testing.assert_array_equal(run(after, x), np.matmul(stack, x) if left else np.matmul(x, stack))
    (call,) = products_of(after)
    assert groups_of(call) == math.prod(own)
    assert is_constant(call.args[1])
    assert layers_of(after)[0].macs == math.prod(extents) * rows * depth * columns


@pytest.mark.parametrize(
    ("shape", "weight", "left"),
    [
        ((32,), (32, 5), False),
        ((32,), (5, 32), True),
        ((4, 32), (32,), False),
        ((32, 4), (32,), True),
        ((7, 32), (3, 32, 5), False),
        ((2, 1, 7, 32), (3, 32, 5), False),
        ((32, 7), (3, 5, 32), True),
    ],
)
def test_vectors_and_operands_of_other_ranks(shape, weight, left):
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-9, 9, size).astype(np.float32) for size in (shape, weight))
    after = settle_products(product(shape, w, left))
    np.testing.assert_array_equal(run(after, x), np.matmul(w, x) if left else np.matmul(x, w))


def test_a_matrix_and_products_of_activations_stay():
    weight = np.ones((4, 5), np.float32)
    before = product((2, 3, 4), weight)
    assert [op_name(binding.value) for binding in bindings(settle_products(before)["main"])] == ["relax.matmul"]
    builder = relax.BlockBuilder()
    x, y = (relax.Var(name, relax.TensorType((2, 3, 3), "float32")) for name in "xy")
    with builder.function("main", [x, y]):
        with builder.dataflow():
            z = builder.emit_output(builder.emit(relax.op.matmul(x, y)))
        builder.emit_func_output(z)
    assert len(bindings(settle_products(builder.get())["main"])) == 1


def test_matrices_that_differ_in_one_number_are_two():
    weight = np.ones((6, 4, 5), np.float32)
    weight[3, 2, 1] = 2
    (call,) = products_of(settle_products(product((6, 3, 4), weight)))
    # Six places, of which no row of two or three is alike in all its turns.
    assert groups_of(call) == 6


@pytest.mark.parametrize("depth", [5, 32, 33])
@pytest.mark.parametrize("zeros", [False, True])
def test_a_matrix_for_each_group_runs_on_bits(depth, zeros, evaluate):
    rng = np.random.default_rng(0)
    signs = rng.choice(np.array([-1, 1], np.float32), (4, depth, 6))
    weight = np.ascontiguousarray(signs * rng.uniform(0.5, 2, (4, 1, 6)).astype(np.float32))
    before = product((2, 4, 3, depth), weight, activation=relax.op.sign)
    simplified = pipeline.run(before, pipeline.simplify())
    (layer,) = layers_of(simplified)
    assert layer.is_binary
    assert layer.weight_shape == (4 * 6, depth)
    after = binarize(simplified)
    names = [op_name(binding.value) for binding in bindings(after["main"])]
    assert "relax.bnn.conv2d" in names
    assert "relax.matmul" not in names
    assert shape_of(after["main"].body.body) == (2, 4, 3, 6)
    x = rng.standard_normal((2, 4, 3, depth)).astype(np.float32)
    if zeros:
        x[0, 1, 2, ::2] = 0
    np.testing.assert_allclose(evaluate(after, x), np.matmul(np.sign(x), weight), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("values", [(0.0, 1.0), (-0.25, 1.5)])
def test_weights_with_an_offset_run_on_bits_in_groups_too(values, evaluate):
    rng = np.random.default_rng(0)
    weight = rng.choice(np.array(values, np.float32), (4, 33, 6))
    before = product((2, 4, 3, 33), weight, activation=relax.op.sign)
    simplified = pipeline.run(before, pipeline.simplify())
    assert layers_of(simplified)[0].is_binary
    x = rng.standard_normal((2, 4, 3, 33)).astype(np.float32)
    after = binarize(simplified)
    assert "relax.matmul" not in [op_name(binding.value) for binding in bindings(after["main"])]
    np.testing.assert_allclose(evaluate(after, x), np.matmul(np.sign(x), weight), rtol=1e-4, atol=1e-4)
