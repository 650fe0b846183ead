import numpy as np
import pytest
from tvm import relax

from relay_passes import pipeline
from relay_passes.pack.narrow_float_layers import narrow_float_layers, quantized_weight
from relay_passes.rewrite import bindings, op_name
from schedules.machines import host
from schedules.machines.dot import SDOT, VPDPBUSD_512, widening
from schedules.machines.isa import AVX512_VPOPCNTDQ, NEON

RNG = np.random.default_rng(0)


def main_of(shape, made):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(made(x)))
        builder.emit_func_output(y)
    return builder.get()


def convolution(weight, shape=(2, 9, 7, 5), groups=1, **options):
    attrs = {"strides": 2, "padding": 1, **options}
    return main_of(
        shape,
        lambda x: relax.op.nn.conv2d(
            x, relax.const(weight), groups=groups, data_layout="NHWC", kernel_layout="OHWI", **attrs
        ),
    )


def product(weight, outer=(2,)):
    return main_of((*outer, weight.shape[1]), lambda x: relax.op.matmul(x, relax.const(np.ascontiguousarray(weight.T))))


def operators(module):
    return [op_name(binding.value).removeprefix("relax.") for binding in bindings(module["main"])]


REAL = RNG.standard_normal((21, 3, 3, 5)).astype(np.float32)
STEM = RNG.standard_normal((64, 7, 7, 3)).astype(np.float32)


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
@pytest.mark.parametrize(
    "before",
    [
        convolution(REAL),
        convolution(REAL, padding=[2, 0, 1, 3], dilation=[1, 2]),
        convolution(STEM, (1, 30, 29, 3), padding=3),
        product(REAL.reshape(21, -1)),
        product(REAL.reshape(21, -1), (2, 3)),
    ],
    ids=["3x3", "dilated", "stem", "matrix", "tokens"],
)
def test_bytes_compute_the_layer_within_their_rounding(before, isa, evaluate):
    scheduled = pipeline.run(before, pipeline.pack(isa, widening(isa)) + pipeline.lower_to(isa))
    shape = [int(extent) for extent in before["main"].params[0].ty.shape]
    x = RNG.standard_normal(shape).astype(np.float32)
    expected, found = evaluate(before, x), evaluate(scheduled, x)
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)


def test_a_convolution_becomes_a_product_of_bytes_and_its_scales():
    after = narrow_float_layers(convolution(REAL), VPDPBUSD_512)
    *measured, layer, correct, widen, _, _, scale = operators(after)
    assert set(measured) == {"reshape", "bnn.activation_scale", "bnn.quantize"}
    assert (layer, correct, widen, scale) == ("bnn.int8_conv2d", "subtract", "astype", "multiply")


def test_signed_bytes_need_no_correction():
    assert "subtract" not in operators(narrow_float_layers(convolution(REAL), SDOT))


def test_the_layers_of_one_kernel_are_the_scale_the_bytes_and_the_product():
    after = pipeline.run(convolution(REAL), pipeline.pack(NEON, SDOT) + pipeline.lower_to(NEON))
    assert operators(after).count("call_tir") == 3


def test_what_int8_numbers_can_say_exactly_is_exact(evaluate):
    weight = RNG.integers(-127, 128, (6, 20)).astype(np.float32)
    weight[:, 0] = 127
    x = RNG.integers(-127, 128, (2, 20)).astype(np.float32)
    x[:, 0] = 127
    passes = pipeline.pack(NEON, widening(NEON)) + pipeline.lower_to(NEON)
    np.testing.assert_array_equal(evaluate(pipeline.run(product(weight), passes), x), x @ weight.T)


def test_one_samples_range_does_not_coarsen_another(evaluate):
    before = product(REAL.reshape(21, -1))
    after = pipeline.run(before, pipeline.pack(NEON, widening(NEON)) + pipeline.lower_to(NEON))
    x = RNG.standard_normal((2, 45)).astype(np.float32) * np.array([[1], [1e6]], np.float32)
    np.testing.assert_allclose(evaluate(after, x)[0], evaluate(before, x)[0], atol=0.5)


def test_an_input_of_zeros_gives_zeros(evaluate):
    after = pipeline.run(convolution(REAL), pipeline.pack(NEON, widening(NEON)) + pipeline.lower_to(NEON))
    assert not evaluate(after, np.zeros((2, 9, 7, 5), np.float32)).any()


@pytest.mark.parametrize(
    "before",
    [
        convolution(np.sign(REAL)),
        convolution(RNG.standard_normal((10, 3, 3, 1)).astype(np.float32), groups=5),
        product(RNG.standard_normal((1, 70_000)).astype(np.float32)),
    ],
    ids=["two values", "groups", "more terms than int32 holds"],
)
def test_other_layers_stay(before):
    assert len(operators(narrow_float_layers(before, VPDPBUSD_512))) == 1


def test_a_channels_largest_weight_is_127_and_zeros_stay():
    weight = np.array([[0.5, -1.0], [0, 0]], np.float32)
    scales, rounded = quantized_weight(weight)
    np.testing.assert_array_equal(rounded, [[64, -127], [0, 0]])
    np.testing.assert_allclose(scales, [1 / 127, 1])


def test_without_an_instruction_nothing_is_narrowed():
    names = [step.name for step in pipeline.pack(AVX512_VPOPCNTDQ)]
    assert "narrow_float_layers" not in names
