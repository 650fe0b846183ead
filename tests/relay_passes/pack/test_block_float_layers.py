import numpy as np
import pytest
from tvm import relax

from relay_passes import dialect, pipeline
from relay_passes.pack.block_float_layers import block_float_layers, two_values
from relay_passes.rewrite import bindings, op_name
from schedules.machines import host
from schedules.machines.isa import AVX2, ISAS, NEON

RNG = np.random.default_rng(0)
SIGNS = RNG.choice(np.array([-1, 1], np.float32), (21, 3, 3, 5))
SCALES = RNG.uniform(0.1, 2, (21, 1, 1, 1)).astype(np.float32)
WEIGHTS = {
    "real": RNG.standard_normal((21, 3, 3, 5)).astype(np.float32),
    "scaled signs": SIGNS * SCALES,
    "two values": np.where(SIGNS > 0, SCALES, np.float32(-0.3)),
    "a channel of zeros": SIGNS * SCALES * (np.arange(21).reshape(-1, 1, 1, 1) != 3),
}


def convolution(weight):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 9, 7, 5), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            made = relax.op.nn.conv2d(
                x, relax.const(weight), strides=2, padding=1, data_layout="NHWC", kernel_layout="OHWI"
            )
            y = builder.emit_output(builder.emit(made))
        builder.emit_func_output(y)
    return builder.get()


def product(weight):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, weight.shape[1]), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(relax.op.matmul(x, relax.const(np.ascontiguousarray(weight.T)))))
        builder.emit_func_output(y)
    return builder.get()


def operators(module):
    return [op_name(binding.value) for binding in bindings(module["main"])]


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_a_float_layer_computes_the_same_however_its_weights_are_stored(kind, isa, evaluate):
    for before, name in (
        (convolution(WEIGHTS[kind]), "conv2d"),
        (product(WEIGHTS[kind].reshape(21, -1)), "dense"),
    ):
        after = block_float_layers(before, isa)
        assert operators(after) == [f"relax.bnn.{'blocked' if kind == 'real' else 'two_valued'}_{name}"]
        scheduled = pipeline.run(after, pipeline.lower_to(isa))
        shape = [int(extent) for extent in before["main"].params[0].ty.shape]
        x = RNG.integers(-8, 9, shape).astype(np.float32)
        np.testing.assert_allclose(evaluate(scheduled, x), evaluate(before, x), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_a_bit_a_weight_is_stored(isa):
    after = block_float_layers(convolution(WEIGHTS["scaled signs"]), isa)
    (layer,) = (binding.value for binding in bindings(after["main"]))
    bits, values = (arg.value.numpy() for arg in layer.args[1:])
    blocks = -(-21 // isa.float_lanes)
    assert bits.shape == (blocks, 3, 3, 5)
    assert bits.itemsize == max(1, isa.float_lanes // 8)
    assert values.shape == (2, blocks * isa.float_lanes)


def test_rounding_noise_is_no_second_value():
    surrogate = RNG.uniform(-1, 1, SIGNS.shape).astype(np.float32)
    noisy = (np.float32(0.01) * SIGNS - surrogate) + surrogate
    is_high, values = two_values(noisy)
    np.testing.assert_array_equal(is_high, SIGNS > 0)
    np.testing.assert_allclose(values, np.array([[-0.01], [0.01]]) * np.ones(21), rtol=1e-4)


def test_channels_of_few_weights_keep_them():
    assert two_values(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)) is None


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
def test_a_sum_that_is_packed_as_it_is_leaves_its_registers_first(isa, evaluate):
    """The packing compares vectors of a copy: it must not be mistaken for the epilogue."""
    weight = RNG.integers(-8, 9, (64, 3, 3, 5)).astype(np.float32)
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 9, 8, 5), "float32"))
    tau = relax.const(RNG.integers(-50, 50, 64).astype(np.float32))
    with builder.function("main", [x]):
        with builder.dataflow():
            made = relax.op.nn.conv2d(x, relax.const(weight), padding=1, data_layout="NHWC", kernel_layout="OHWI")
            flip = relax.const(np.zeros(64 // isa.word_bits, isa.word_dtype))
            y = builder.emit_output(builder.emit(dialect.pack(builder.emit(made), tau, flip, isa.word_bits)))
        builder.emit_func_output(y)
    scheduled = pipeline.run(block_float_layers(builder.get(), isa), pipeline.lower_to(isa))
    assert 'scope="local"' in scheduled.script()
    values = RNG.integers(-8, 9, (2, 9, 8, 5)).astype(np.float32)
    np.testing.assert_array_equal(evaluate(scheduled, values), evaluate(builder.get(), values))


def of_planes(isa, layers=1, depth=3):
    """An image that one layer, or more, take transposed, blocked for an instruction set."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, depth, 9, 8), "float32"))
    weight = np.random.default_rng(1).integers(-8, 9, (16, 3, 3, depth)).astype(np.float32)
    with builder.function("main", [x]):
        with builder.dataflow():
            pixels = builder.emit(relax.op.permute_dims(x, [0, 2, 3, 1]))
            layouts = {"data_layout": "NHWC", "kernel_layout": "OHWI"}
            made = [
                builder.emit(relax.op.nn.conv2d(pixels, relax.const(weight), strides=2, padding=1, **layouts))
                for _ in range(layers)
            ]
            y = builder.emit_output(builder.emit(relax.op.concat(made, axis=-1)) if layers > 1 else made[0])
        builder.emit_func_output(y)
    before = builder.get()
    return before, block_float_layers(before, isa)


def test_planes_of_an_image_are_read_as_they_come(evaluate):
    before, after = of_planes(AVX2)
    assert operators(after) == ["relax.bnn.planar_conv2d"]
    x = np.random.default_rng(2).integers(-8, 9, (2, 3, 9, 8)).astype(np.float32)
    np.testing.assert_array_equal(evaluate(after, x), evaluate(before, x))
    assert operators(of_planes(AVX2, layers=2)[1])[:2] == ["relax.bnn.planar_conv2d"] * 2


@pytest.mark.parametrize(("isa", "depth"), [(NEON, 3), (AVX2, 5)], ids=["loads vectors", "many planes"])
def test_other_layers_read_pixels(isa, depth):
    assert operators(of_planes(isa, depth=depth)[1]) == ["relax.permute_dims", "relax.bnn.blocked_conv2d"]
