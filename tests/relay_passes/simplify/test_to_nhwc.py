import numpy as np
import torch
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.rewrite import op_name
from relay_passes.simplify.to_nhwc import to_nhwc

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
WEIGHT_OIHW, WEIGHT_OHWI = relax.const(WEIGHT), relax.const(np.ascontiguousarray(WEIGHT.transpose(0, 2, 3, 1)))
BIAS = RNG.standard_normal(4).astype(np.float32)
BIAS_NCHW, BIAS_NHWC = relax.const(BIAS.reshape(1, 4, 1, 1)), relax.const(BIAS.reshape(1, 1, 1, 4))


def test_a_convolution_and_its_bias_move_to_channels_last(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 3, 8, 8), "float32")) -> R.Tensor((2, 4, 6, 6), "float32"):
            with R.dataflow():
                convolved = R.nn.conv2d(x, WEIGHT_OIHW)
                y = R.add(convolved, BIAS_NCHW)
                R.output(y)
            return y

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((2, 3, 8, 8), "float32")) -> R.Tensor((2, 4, 6, 6), "float32"):
            with R.dataflow():
                last = R.permute_dims(x, axes=[0, 2, 3, 1])
                convolved = R.nn.conv2d(last, WEIGHT_OHWI, data_layout="NHWC", kernel_layout="OHWI", out_layout="NHWC")
                biased = R.add(convolved, BIAS_NHWC)
                y = R.permute_dims(biased, axes=[0, 3, 1, 2])
                R.output(y)
            return y

    expect(to_nhwc, Before, Expected)


def test_a_graph_without_windows_stays(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 3, 8, 8), "float32")) -> R.Tensor((2, 3, 8, 8), "float32"):
            with R.dataflow():
                doubled = R.add(x, x)
                y = R.nn.relu(doubled)
                R.output(y)
            return y

    expect(to_nhwc, Before, Before)


@I.ir_module
class Mixed:
    """Padding, pools, a gate that broadcasts, concatenation, and reductions with and without their axes."""

    @R.function
    def main(x: R.Tensor((2, 3, 8, 8), "float32")) -> R.Tensor((2, 207), "float32"):
        with R.dataflow():
            padded = R.nn.pad(x, [0, 0, 0, 0, 1, 1, 1, 1], "constant", -1.0)
            convolved = R.nn.conv2d(padded, WEIGHT_OIHW)
            biased = R.add(convolved, BIAS_NCHW)
            gate = R.mean(biased, axis=[2, 3], keepdims=True)
            gated = R.multiply(biased, gate)
            largest = R.nn.max_pool2d(gated, pool_size=[2, 2], strides=[2, 2])
            average = R.nn.avg_pool2d(gated, pool_size=[2, 2], strides=[2, 2])
            image = R.nn.max_pool2d(x, pool_size=[2, 2], strides=[2, 2])
            both = R.concat((largest, average, image), axis=1)
            over_channels = R.mean(both, axis=[1], keepdims=False)
            over_rows = R.mean(both, axis=[2], keepdims=False)
            over_pixels = R.mean(both, axis=[2, 3], keepdims=False)
            flat = R.reshape(both, R.shape([2, 176]))
            flat_channels = R.reshape(over_channels, R.shape([2, 16]))
            summed = R.sum(over_rows, axis=[1], keepdims=False)
            joined = R.concat((flat, flat_channels, summed, over_pixels), axis=1)
            y = R.nn.relu(joined)
            R.output(y)
        return y


def test_nothing_changes_but_the_layout(evaluate):
    before = Mixed
    x = RNG.standard_normal((2, 3, 8, 8)).astype(np.float32)
    after = to_nhwc(before)
    layouts = {
        str(binding.value.attrs.layout)
        for binding in after["main"].body.blocks[0].bindings
        if op_name(binding.value) in {"relax.nn.max_pool2d", "relax.nn.avg_pool2d"}
    }
    assert layouts == {"NHWC"}
    np.testing.assert_allclose(evaluate(after, x), evaluate(before, x), rtol=1e-5, atol=1e-5)


def test_pytorchs_flatten_sees_its_own_order(evaluate):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 144), "float32"):
            with R.dataflow():
                convolved = R.nn.conv2d(x, WEIGHT_OIHW)
                y = R.reshape(convolved, R.shape([1, 144]))
                R.output(y)
            return y

    x = RNG.standard_normal((1, 3, 8, 8)).astype(np.float32)
    expected = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(WEIGHT)).flatten(1)
    np.testing.assert_allclose(evaluate(to_nhwc(Before), x), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_every_output_of_several_keeps_its_layout(evaluate):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 4, 6, 6), "float32"))
    weight = relax.const(np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(np.float32))
    with builder.function("main", [x]):
        with builder.dataflow():
            made = builder.emit(relax.op.nn.conv2d(x, weight))
            both = relax.Tuple([builder.emit(relax.op.mean(made, [2, 3])), made])
            y = builder.emit_output(builder.emit(both))
        builder.emit_func_output(y)
    shapes = [tuple(int(extent) for extent in field.shape) for field in to_nhwc(builder.get())["main"].ret_ty.fields]
    assert shapes == [(2, 8), (2, 8, 4, 4)]


def test_a_shortcut_without_parameters_stays_channels_last(evaluate):
    """Every other pixel, missing channels are zero: option A of ResNets."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 3, 9, 8), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            made = builder.emit(relax.op.nn.conv2d(x, relax.const(WEIGHT), padding=1))
            halved = builder.emit(relax.op.strided_slice(made, [2, -1], [0, 1], [9, 8], [2, 2]))
            padded = builder.emit(relax.op.nn.pad(halved, [0, 0, 2, 2, 0, 0, 0, 0], "constant", 0.0))
            y = builder.emit_output(padded)
        builder.emit_func_output(y)
    after = to_nhwc(builder.get())
    moves = [binding for block in after["main"].body.blocks for binding in block.bindings]
    assert sum(op_name(binding.value) == "relax.permute_dims" for binding in moves) == 2  # the input and the output
    values = RNG.standard_normal((1, 3, 9, 8)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, values), evaluate(builder.get(), values), rtol=1e-5, atol=1e-5)
