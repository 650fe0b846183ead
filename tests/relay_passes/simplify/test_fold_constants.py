import numpy as np
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.rewrite import bindings
from relay_passes.simplify.fold_constants import fold_constants

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
