import numpy as np
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.fold_constants import fold_constants

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
