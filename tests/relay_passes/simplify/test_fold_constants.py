import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.dialect import shape_of
from relay_passes.rewrite import bindings, is_constant
from relay_passes.simplify.fold_constants import fold_constants, without_repetition

ROW = relax.const(np.array([1, -2], np.float32))
COLUMN = relax.const(np.array([[1], [-2]], np.float32))


def test_calls_on_constants_become_their_values(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 1), "float32")) -> R.Tensor((2, 1), "float32"):
            with R.dataflow():
                column = R.reshape(ROW, R.shape([2, 1]))
                y = R.add(x, column)
                R.output(y)
            return y

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((2, 1), "float32")) -> R.Tensor((2, 1), "float32"):
            with R.dataflow():
                y = R.add(x, COLUMN)
                R.output(y)
            return y

    expect(fold_constants, Before, Expected)


def test_what_depends_on_an_input_stays(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2,), "float32")) -> R.Tensor((2,), "float32"):
            with R.dataflow():
                y = R.multiply(R.sign(x), ROW)
                R.output(y)
            return y

    expect(fold_constants, Before, Before)


def test_a_tensor_of_one_number_is_that_number_beside_another_of_its_shape(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
            with R.dataflow():
                ones = R.full_like(x, R.const(1.0, "float32"))
                y = R.where(R.greater_equal(x, R.zeros_like(x)), ones, R.negative(ones))
                R.output(y)
            return y

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
            with R.dataflow():
                condition = R.greater_equal(x, R.const(0.0, "float32"))
                y = R.where(condition, R.const(1.0, "float32"), R.const(-1.0, "float32"))
                R.output(y)
            return y

    expect(fold_constants, Before, Expected)


def test_a_tensor_of_one_number_stays_where_it_gives_the_result_its_shape(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 3), "float32"), row: R.Tensor((3,), "float32")) -> R.Tensor((2, 3), "float32"):
            with R.dataflow():
                y = R.add(R.ones_like(x), row)
                R.output(y)
            return y

    expect(fold_constants, Before, Before)


def test_a_long_chain_of_sums_is_looked_through_once():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2,), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = x
            for _ in range(100):
                value = builder.emit(relax.op.add(value, builder.emit(relax.op.nn.relu(value))))
            output = builder.emit_output(value)
        builder.emit_func_output(output)
    module = builder.get()
    assert len(bindings(fold_constants(module)["main"])) == 200


def sum_with(constant, shape=(2, 3, 4, 4)):
    """``x`` of a shape plus what ``constant`` makes of it, after folding; and the constant's shape there."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(relax.op.add(x, builder.emit(constant(builder, x)))))
        builder.emit_func_output(y)
    folded = fold_constants(builder.get())
    (node,) = (binding.value for binding in bindings(folded["main"]))
    (found,) = (shape_of(arg) for arg in node.args if is_constant(arg))
    assert shape_of(folded["main"].ret_ty) == shape
    return found


CHANNELS = np.array([0.5, -1, 2], np.float32).reshape(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("constant", "shape"),
    [
        (lambda _, x: relax.op.broadcast_to(relax.const(CHANNELS), shape_of(x)), (1, 3, 1, 1)),
        (lambda _, x: relax.const(np.broadcast_to(CHANNELS, shape_of(x)).copy()), (1, 3, 1, 1)),
        (lambda _, x: relax.const(np.broadcast_to(CHANNELS[0], (3, 4, 4)).copy()), (3, 1, 1)),
        (lambda b, x: relax.op.negative(b.emit(relax.op.full_like(x, relax.const(2.0)))), ()),
        (lambda _, x: relax.const(np.full(shape_of(x), 3, np.float32)), ()),
        (lambda *_: relax.const(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4).repeat(3, 1)), (1, 1, 4, 4)),
        # One number a channel, all alike: a model's scale after training may be that.
        (lambda *_: relax.const(np.ones((1, 3, 1, 1), np.float32)), (1, 3, 1, 1)),
        (lambda *_: relax.const(np.arange(96, dtype=np.float32).reshape(2, 3, 4, 4)), (2, 3, 4, 4)),
    ],
)
def test_a_constant_that_is_added_is_as_small_as_it_was_written(constant, shape):
    assert sum_with(constant) == shape


def test_what_a_constant_alone_repeats_stays():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 3), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(relax.op.add(x, relax.const(np.ones((2, 3), np.float32)))))
        builder.emit_func_output(y)
    (node,) = (binding.value for binding in bindings(fold_constants(builder.get())["main"]))
    assert shape_of(node) == (2, 3)
    assert shape_of(node.args[1]) == (2, 1)


EXTENTS = st.lists(st.integers(1, 3), min_size=0, max_size=4)


@given(EXTENTS, st.lists(st.booleans(), min_size=4, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_broadcasting_gives_back_what_was_left_out(extents, repeated, given_there):
    varying = [1 if again else extent for extent, again in zip(extents, repeated, strict=False)]
    array = np.broadcast_to(np.random.default_rng(0).standard_normal(varying), extents).copy()
    beside = tuple(extent if there else 1 for extent, there in zip(extents, given_there, strict=False))
    small = without_repetition(array, beside)
    zeros = np.zeros(beside)
    np.testing.assert_array_equal(small + zeros, array + zeros)
    assert small.size <= array.size


def test_a_zero_is_not_minus_zero():
    array = np.array([[0.0, 1.0], [-0.0, 1.0]], np.float32)
    assert without_repetition(array, (2, 2)) is array
