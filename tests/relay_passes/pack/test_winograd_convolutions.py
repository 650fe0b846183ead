import numpy as np
import pytest
from tvm import relax

from relay_passes import pipeline
from relay_passes.pack.block_float_layers import block_float_layers
from relay_passes.pack.winograd_convolutions import winograd_convolutions
from relay_passes.rewrite import bindings, op_name
from schedules.machines import host
from schedules.machines.isa import NEON

RNG = np.random.default_rng(0)


def stem(shape=(1, 3, 32, 32), channels=16, kernel=3, from_planes=True, only_signs=False, **geometry):
    """Return ``conv2d`` of NHWC, made of NCHW as ``to_nhwc`` leaves it, or of an NHWC input."""
    builder = relax.BlockBuilder()
    count, depth, height, width = shape
    x = relax.Var("x", relax.TensorType(shape if from_planes else (count, height, width, depth), "float32"))
    values = [-1, 1] if only_signs else range(-8, 9)
    weight = RNG.choice(np.array(values, np.float32), (channels, kernel, kernel, depth))
    options = {"padding": kernel // 2, "data_layout": "NHWC", "kernel_layout": "OHWI", **geometry}
    with builder.function("main", [x]):
        with builder.dataflow():
            nhwc = builder.emit(relax.op.permute_dims(x, [0, 2, 3, 1])) if from_planes else x
            made = relax.op.nn.conv2d(nhwc, relax.const(weight), **options)
            y = builder.emit_output(builder.emit(made))
        builder.emit_func_output(y)
    return builder.get()


def operators(module):
    return [op_name(binding.value) for binding in bindings(module["main"])]


@pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)
@pytest.mark.parametrize("from_planes", [True, False])
def test_a_stem_computes_the_same_from_planes_and_from_pixels(from_planes, isa, evaluate):
    before = stem((2, 3, 38, 36), 21, 7, from_planes, strides=2)
    after = winograd_convolutions(before, isa)
    transposes = [] if from_planes else ["relax.permute_dims"]
    assert operators(after) == [*transposes, "relax.bnn.winograd_conv2d"]
    shape = [int(extent) for extent in before["main"].params[0].ty.shape]
    x = RNG.integers(-8, 9, shape).astype(np.float32)
    found = evaluate(pipeline.run(after, pipeline.lower_to(isa)), x)
    plain = pipeline.run(block_float_layers(before, isa), pipeline.lower_to(isa))
    np.testing.assert_array_equal(found, evaluate(plain, x))


@pytest.mark.parametrize(
    "layer",
    [
        stem(strides=2),
        stem(kernel=1),
        stem((1, 3, 32, 31)),
        stem((1, 3, 8, 8)),
        stem((1, 5, 32, 32)),
        stem(channels=15),
        stem(dilation=2, padding=2),
        stem(only_signs=True),
    ],
    ids=[
        *("little to save", "one tap", "odd rows", "short rows", "many channels", "few outputs", "dilated"),
        "weights that are stored as bits",
    ],
)
def test_other_convolutions_stay(layer):
    assert "relax.nn.conv2d" in operators(winograd_convolutions(layer, NEON))
