import numpy as np
import pytest
from tvm import relax

from relay_passes.analysis.layers import layers_of
from relay_passes.analysis.part_names import layers_behind
from relay_passes.canonicalize.join_layers import join_layers
from relay_passes.rewrite import bindings, named, op_name

RNG = np.random.default_rng(0)
IMAGE, ROWS = (1, 5, 6, 8), (3, 8)
SIGNS = np.array([-1, 1], np.float32)


def signs(channels, size=1):
    return RNG.choice(SIGNS, (channels, size, size, 8))


def real(channels):
    return RNG.standard_normal((channels, 1, 1, 8)).astype(np.float32)


def convolved(builder, x, weight, name, **attrs):
    call = relax.op.nn.conv2d(x, relax.const(weight), data_layout="NHWC", kernel_layout="OHWI", **attrs)
    return builder.emit(named(call, name))


def per_channel(width):
    return relax.const(RNG.standard_normal(width).astype(np.float32))


def residual(builder, signs_of_x, x, weight, name):
    scaled = builder.emit(relax.op.multiply(convolved(builder, signs_of_x, weight, name), per_channel(len(weight))))
    return builder.emit(relax.op.add(scaled, x))


def module_of(body, shape=IMAGE):
    """``body`` of a builder, of an input and of its signs."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(body(builder, x, builder.emit(relax.op.sign(x))))
        builder.emit_func_output(y)
    return builder.get()


def doubled(builder, x, s):
    """What ReActNet does where it doubles its channels."""
    parts = [residual(builder, s, x, signs(8), name) for name in ("left", "right")]
    return builder.emit(relax.op.concat(parts, axis=-1))


def of_three_widths(builder, _x, s):
    parts = []
    for width in (8, 24, 16):
        made = convolved(builder, s, signs(width, 3), f"to{width}", padding=[1, 1, 1, 1])
        shifted = builder.emit(relax.op.add(made, per_channel((1, 1, 1, width))))
        # One number for all, and one of each branch.
        slope = builder.emit(relax.op.multiply(shifted, relax.const(np.float32(width))))
        halved = builder.emit(relax.op.multiply(slope, relax.const(np.float32(0.5))))
        parts.append(builder.emit(relax.op.clip(halved, relax.prim_value(-1.0), relax.prim_value(1.0))))
    return builder.emit(relax.op.concat(parts, axis=-1))


def scaled_by_pixel(builder, x, s):
    size = builder.emit(relax.op.mean(builder.emit(relax.op.abs(x)), [3], keepdims=True))
    parts = [
        builder.emit(relax.op.multiply(convolved(builder, s, real(width), f"to{width}"), size)) for width in (8, 16)
    ]
    return builder.emit(relax.op.concat(parts, axis=-1))


def linear(builder, _x, s):
    parts = []
    for width in (5, 7):
        weight = relax.const(RNG.choice(SIGNS, (8, width)))
        made = builder.emit(named(relax.op.matmul(s, weight), f"to{width}"))
        parts.append(builder.emit(relax.op.nn.relu(builder.emit(relax.op.add(made, per_channel(width))))))
    return builder.emit(relax.op.concat(parts, axis=1))


def operators(module):
    return [op_name(binding.value) for binding in bindings(module["main"])]


@pytest.mark.parametrize(
    ("body", "shape", "name"),
    [
        (doubled, IMAGE, "left | right"),
        (of_three_widths, IMAGE, "to8 | to24 | to16"),
        (scaled_by_pixel, IMAGE, "to8 | to16"),
        (linear, ROWS, "to5 | to7"),
    ],
)
def test_layers_side_by_side_become_one(body, shape, name, evaluate):
    before = module_of(body, shape)
    after = join_layers(before)
    (layer,) = layers_of(after)
    assert layer.name == name
    assert layers_behind(name) == [layer.name for layer in layers_of(before)]
    assert "relax.concat" not in operators(after)
    x = RNG.standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(evaluate(after, x), evaluate(before, x))


def other_input(builder, x, s):
    turned = builder.emit(relax.op.negative(s))
    parts = [residual(builder, value, x, signs(8), "a") for value in (s, turned)]
    return builder.emit(relax.op.concat(parts, axis=-1))


def other_residual(builder, x, s):
    parts = [residual(builder, s, value, signs(8), "a") for value in (x, s)]
    return builder.emit(relax.op.concat(parts, axis=-1))


def read_elsewhere(builder, x, s):
    left, right = (residual(builder, s, x, signs(8), name) for name in ("a", "b"))
    return builder.emit(relax.op.concat([left, right, builder.emit(relax.op.exp(left))], axis=-1))


def of_other_windows(builder, _x, s):
    parts = [convolved(builder, s, signs(8), "a"), convolved(builder, s, signs(8, 3), "b", padding=[1, 1, 1, 1])]
    return builder.emit(relax.op.concat(parts, axis=-1))


def binary_and_float(builder, _x, s):
    parts = [convolved(builder, s, signs(8), "a"), convolved(builder, s, real(8), "b")]
    return builder.emit(relax.op.concat(parts, axis=-1))


def along_rows(builder, x, s):
    parts = [residual(builder, s, x, signs(8), name) for name in ("a", "b")]
    return builder.emit(relax.op.concat(parts, axis=1))


def unlike_epilogues(builder, _x, s):
    left, right = (convolved(builder, s, signs(8), name) for name in ("a", "b"))
    parts = [builder.emit(relax.op.nn.relu(left)), builder.emit(relax.op.tanh(right))]
    return builder.emit(relax.op.concat(parts, axis=-1))


def without_layers(builder, x, s):
    return builder.emit(relax.op.concat([builder.emit(relax.op.exp(value)) for value in (x, s)], axis=-1))


@pytest.mark.parametrize(
    "body",
    [
        *(other_input, other_residual, read_elsewhere, of_other_windows, binary_and_float, along_rows),
        *(unlike_epilogues, without_layers),
    ],
)
def test_what_is_not_alike_stays_apart(body, expect):
    before = relax.transform.CanonicalizeBindings()(module_of(body))
    expect(join_layers, before, before)
