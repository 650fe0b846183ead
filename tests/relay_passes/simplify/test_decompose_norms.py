import numpy as np
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.simplify.decompose_norms import decompose_norms

GAMMA, BETA, MEAN, VARIANCE = (
    relax.const(np.array(values, np.float32)) for values in ([2, -1], [1, 0], [3, 4], [3, 8])
)
# eps is 1, so the deviations are 2 and 3.
SLOPE = relax.const((np.array([2, -1], np.float32) / np.array([2, 3], np.float32)).reshape(1, 2, 1, 1))
OFFSET = relax.const(
    (np.array([1, 0], np.float32) - np.array([3, 4], np.float32) * SLOPE.value.numpy().ravel()).reshape(1, 2, 1, 1)
)


def test_statistics_become_one_slope_and_one_offset_per_channel(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 2, 4, 4), "float32")) -> R.Tensor((1, 2, 4, 4), "float32"):
            with R.dataflow():
                normalized = R.nn.batch_norm(x, GAMMA, BETA, MEAN, VARIANCE, axis=1, epsilon=1.0, training=False)
                y = normalized[0]
                R.output(y)
            return y

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 2, 4, 4), "float32")) -> R.Tensor((1, 2, 4, 4), "float32"):
            with R.dataflow():
                scaled = R.multiply(x, SLOPE)
                y = R.add(scaled, OFFSET)
                R.output(y)
            return y

    expect(decompose_norms, Before, Expected)


def test_statistics_that_are_inputs_stay(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 2, 4, 4), "float32"), mean: R.Tensor((2,), "float32")) -> R.Tensor(
            (1, 2, 4, 4), "float32"
        ):
            with R.dataflow():
                normalized = R.nn.batch_norm(x, GAMMA, BETA, mean, VARIANCE, axis=1, epsilon=1.0, training=False)
                y = normalized[0]
                R.output(y)
            return y

    expect(decompose_norms, Before, Before)
