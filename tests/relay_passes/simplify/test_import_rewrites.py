"""Passes that turn what models bring into layers that can be examined: nothing changes but the form."""

import numpy as np
import pytest
import torch
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.rewrite import op_name
from relay_passes.simplify.absorb_padding import absorb_padding
from relay_passes.simplify.fold_constants import fold_constants
from relay_passes.simplify.hoist_input_scale import hoist_input_scale
from relay_passes.simplify.slice_conv3d import slice_conv3d
from relay_passes.simplify.split_transposed_conv2d import split_transposed_conv2d
from relay_passes.simplify.widen_conv1d import widen_conv1d

RNG = np.random.default_rng(0)
WEIGHT_1D = relax.const(RNG.standard_normal((6, 2, 3)).astype(np.float32))
WEIGHT_2D = relax.const(RNG.standard_normal((5, 4, 3, 3)).astype(np.float32))
ZEROS = relax.const(np.zeros((1,), np.float32))


def operators(module):
    return [op_name(binding.value) for binding in module["main"].body.blocks[0].bindings]


def one_call(shape, call):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(call(builder, x)))
        builder.emit_func_output(y)
    return builder.get()


def test_a_one_dimensional_convolution_becomes_one_of_height_one(evaluate):
    before = one_call(
        (2, 4, 11), lambda _, x: relax.op.nn.conv1d(x, WEIGHT_1D, strides=2, padding=[1, 2], dilation=2, groups=2)
    )
    after = widen_conv1d(before)
    assert operators(after) == ["relax.reshape", "relax.nn.conv2d", "relax.reshape"]
    x = RNG.standard_normal((2, 4, 11)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x), evaluate(before, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding", "dilation", "groups", "convolutions"),
    [
        ((2, 2), (2, 2), (0, 0), (0, 0), (1, 1), 1, 4),
        ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1, 4),
        ((3, 3), (1, 1), (1, 1), (0, 0), (1, 1), 1, 1),
        ((6, 6), (3, 3), (0, 0), (0, 0), (1, 1), 1, 9),
        ((3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1, 4),
        ((3, 3), (2, 2), (1, 1), (0, 0), (1, 1), 1, 4),  # phases of different lengths
        ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 2, 4),
        ((3, 5), (2, 3), (0, 2), (1, 0), (1, 1), 4, 6),
        ((3, 3), (1, 1), (0, 0), (0, 0), (2, 3), 1, 1),
        ((3, 3), (2, 2), (1, 1), (0, 0), (2, 2), 1, 1),  # every second output gets nothing
        ((3, 3), (3, 3), (2, 1), (0, 2), (2, 4), 2, 9),
        ((2, 2), (3, 3), (0, 0), (0, 0), (1, 1), 1, 4),  # gaps between the kernels
        ((5, 5), (2, 2), (4, 4), (0, 0), (1, 1), 1, 4),  # the padding leaves out input
        ((1, 1), (2, 2), (0, 0), (1, 1), (1, 1), 1, 1),
    ],
)
def test_a_transposed_convolution_becomes_one_convolution_for_each_phase(
    kernel, stride, padding, output_padding, dilation, groups, convolutions, evaluate
):
    weight = RNG.standard_normal((4, 3, *kernel)).astype(np.float32)
    options = {"output_padding": output_padding, "dilation": dilation, "groups": groups}
    before = one_call(
        (2, 4, 5, 6),
        lambda _, x: relax.op.nn.conv2d_transpose(
            x, relax.const(weight), strides=stride, padding=(*padding, *padding), **options
        ),
    )
    after = split_transposed_conv2d(before)
    assert operators(after).count("relax.nn.conv2d") == convolutions
    x = RNG.standard_normal((2, 4, 5, 6)).astype(np.float32)
    expected = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x), torch.from_numpy(weight), None, stride, padding, output_padding, groups, dilation
    )
    np.testing.assert_allclose(evaluate(after, x), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_a_transposed_convolution_whose_weight_is_an_input_stays():
    builder = relax.BlockBuilder()
    x, w = (
        relax.Var(name, relax.TensorType(shape, "float32"))
        for name, shape in (("x", (1, 4, 5, 5)), ("w", (4, 3, 2, 2)))
    )
    with builder.function("main", [x, w]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(relax.op.nn.conv2d_transpose(x, w, strides=2)))
        builder.emit_func_output(y)
    assert operators(split_transposed_conv2d(builder.get())) == ["relax.nn.conv2d_transpose"]


def test_a_one_dimensional_transposed_convolution_becomes_one_of_height_one(evaluate):
    weight = RNG.standard_normal((4, 3, 4)).astype(np.float32)
    before = one_call(
        (2, 4, 7),
        lambda _, x: relax.op.nn.conv1d_transpose(x, relax.const(weight), strides=3, padding=1, groups=2, dilation=2),
    )
    after = split_transposed_conv2d(widen_conv1d(before))
    assert operators(after).count("relax.nn.conv2d") == 3
    x = RNG.standard_normal((2, 4, 7)).astype(np.float32)
    expected = torch.nn.functional.conv_transpose1d(
        torch.from_numpy(x), torch.from_numpy(weight), None, 3, 1, groups=2, dilation=2
    )
    np.testing.assert_allclose(evaluate(after, x), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_a_three_dimensional_convolution_becomes_a_sum_over_its_depth(evaluate):
    weight = RNG.standard_normal((4, 2, 3, 3, 3)).astype(np.float32)
    options = {"strides": [2, 1, 1], "padding": [1, 1, 0], "dilation": [1, 1, 2], "groups": 1}
    before = one_call((2, 2, 6, 5, 7), lambda _, x: relax.op.nn.conv3d(x, relax.const(weight), **options))
    after = slice_conv3d(before)
    assert operators(after).count("relax.nn.conv2d") == 3
    x = RNG.standard_normal((2, 2, 6, 5, 7)).astype(np.float32)
    expected = torch.nn.functional.conv3d(
        torch.from_numpy(x), torch.from_numpy(weight), None, (2, 1, 1), (1, 1, 0), (1, 1, 2)
    )
    np.testing.assert_allclose(evaluate(after, x), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_a_convolution_pads_for_itself_and_signs_come_before_zeros(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 8, 8), "float32")) -> R.Tensor((1, 5, 10, 10), "float32"):
            with R.dataflow():
                padded = R.nn.pad(x, [0, 0, 0, 0, 1, 1, 2, 2], "constant", 0.0)
                s = R.sign(padded)
                y = R.nn.conv2d(s, WEIGHT_2D, padding=[1, 0, 1, 0])
                R.output(y)
            return y

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 8, 8), "float32")) -> R.Tensor((1, 5, 10, 10), "float32"):
            with R.dataflow():
                s = R.sign(x)
                y = R.nn.conv2d(s, WEIGHT_2D, padding=[2, 2, 2, 2])
                R.output(y)
            return y

    expect(absorb_padding, Before, Expected)


def test_padding_with_another_value_or_of_channels_stays(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 8, 8), "float32"), z: R.Tensor((1, 2, 8, 8), "float32")) -> R.Tensor(
            (2, 5, 8, 8), "float32"
        ):
            with R.dataflow():
                ones = R.nn.pad(x, [0, 0, 0, 0, 1, 1, 1, 1], "constant", -1.0)
                a = R.nn.conv2d(ones, WEIGHT_2D)
                channels = R.nn.pad(z, [0, 0, 1, 1, 1, 1, 1, 1], "constant", 0.0)
                b = R.nn.conv2d(channels, WEIGHT_2D)
                y = R.concat((a, b), axis=0)
                R.output(y)
            return y

    expect(absorb_padding, Before, Before)


def scaled_signs(builder, x, axes):
    scale = builder.emit(relax.op.mean(builder.emit(relax.op.abs(x)), axes, keepdims=True))
    return builder.emit(relax.op.multiply(builder.emit(relax.op.sign(x)), scale))


def test_a_scale_per_sample_moves_behind_the_convolution(evaluate):
    before = one_call((3, 4, 8, 8), lambda b, x: relax.op.nn.conv2d(scaled_signs(b, x, [1, 2, 3]), WEIGHT_2D))
    after = hoist_input_scale(before)
    assert operators(after)[-2:] == ["relax.nn.conv2d", "relax.multiply"]
    x = RNG.standard_normal((3, 4, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x), evaluate(before, x), rtol=1e-4, atol=1e-4)


def test_a_scale_per_row_moves_behind_a_flattened_linear_layer(evaluate):
    weight = relax.const(RNG.standard_normal((8, 5)).astype(np.float32))

    def linear(builder, x):
        return relax.op.matmul(builder.emit(relax.op.reshape(scaled_signs(builder, x, [2]), (6, 8))), weight)

    before = one_call((2, 3, 8), linear)
    after = hoist_input_scale(before)
    assert operators(after)[-2:] == ["relax.matmul", "relax.multiply"]
    x = RNG.standard_normal((2, 3, 8)).astype(np.float32)
    np.testing.assert_allclose(evaluate(after, x), evaluate(before, x), rtol=1e-4, atol=1e-4)


def test_a_scale_that_the_layer_sums_over_stays():
    before = one_call((3, 4, 8, 8), lambda b, x: relax.op.nn.conv2d(scaled_signs(b, x, [2, 3]), WEIGHT_2D))
    assert operators(hoist_input_scale(before))[-2:] == ["relax.multiply", "relax.nn.conv2d"]


def test_what_is_multiplied_by_zero_goes():
    def with_dead_noise(builder, x):
        noise = builder.emit(relax.op.multiply(builder.emit(relax.op.tanh(x)), ZEROS))
        return relax.op.add(x, noise)

    module = fold_constants(one_call((4,), with_dead_noise))
    assert "tanh" not in module.script()


def test_the_sum_with_a_broadcasting_zero_keeps_its_shape():
    wide = relax.const(np.zeros((3, 4), np.float32))
    module = fold_constants(one_call((4,), lambda _, x: relax.op.add(x, wide)))
    assert [int(extent) for extent in module["main"].ret_ty.shape] == [3, 4]
