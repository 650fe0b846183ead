from fractions import Fraction

import numpy as np
import pytest
import torch
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.analysis.evaluate import evaluate
from relay_passes.rewrite import array_of, bindings
from relay_passes.simplify.decompose_norms import decompose_norms, fuse_batch_norm

GAMMA, BETA, MEAN, VARIANCE = (
    relax.const(np.array(values, np.float32)) for values in ([2, -1], [1, 0], [3, 4], [3, 8])
)
# eps is 1, so the deviations are 2 and 3.
SLOPE = relax.const((np.float32(1) / np.array([2, 3], np.float32) * np.array([2, -1], np.float32)).reshape(1, 2, 1, 1))
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


def test_a_batch_norm_of_pytorch_rounds_once(expect):
    slopes = [Fraction(float(slope)) for slope in SLOPE.value.numpy().ravel()]
    offset = [1 - 3 * slopes[0], -4 * slopes[1]]
    FUSED = relax.const(np.array([float(value) for value in offset], np.float32).reshape(1, 2, 1, 1))

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
                y = R.bnn.multiply_add(x, SLOPE, FUSED)
                R.output(y)
            return y

    expect(fuse_batch_norm, Before, Expected)


FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="PyTorch multiplies and adds apart on this processor"
)
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("beta", ["none", "zero", "any"])
# Vectors of 8 and 16, and what they leave.
@pytest.mark.parametrize("shape", [(1, 5, 1, 1), (2, 16, 4, 4), (1, 67, 3, 3), (3, 33, 1, 7)], ids=str)
def test_it_is_the_arithmetic_of_pytorchs_kernels(layout, beta, shape):
    generator = np.random.default_rng(0)
    channels = shape[1]
    gamma = generator.standard_normal(channels).astype(np.float32)
    mean = generator.integers(-9, 10, channels).astype(np.float32)
    variance = generator.uniform(0.1, 50, channels).astype(np.float32)
    offset = generator.standard_normal(channels).astype(np.float32) if beta == "any" else np.zeros(channels, np.float32)
    affine = [None, None] if beta == "none" else [torch.from_numpy(gamma), torch.from_numpy(offset)]
    x = torch.from_numpy(generator.integers(-12, 13, shape).astype(np.float32)).contiguous(
        memory_format=FORMATS[layout]
    )
    statistics = torch.from_numpy(mean), torch.from_numpy(variance)
    expected = torch.nn.functional.batch_norm(x, *statistics, *affine, training=False, eps=1e-5).numpy()
    constants = [np.ones(channels, np.float32) if beta == "none" else gamma, offset, mean, variance]

    builder = relax.BlockBuilder()
    given = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [given]):
        with builder.dataflow():
            arguments = [relax.const(value) for value in constants]
            normalized = builder.emit(relax.op.nn.batch_norm(given, *arguments, 1, epsilon=1e-5, training=False))
            output = builder.emit_output(relax.TupleGetItem(normalized, 0))
        builder.emit_func_output(output)
    (binding,) = bindings(fuse_batch_norm(builder.get())["main"])
    found = evaluate(binding.value, [x.numpy(), *(array_of(arg) for arg in binding.value.args[1:])])
    np.testing.assert_array_equal(found, expected)
