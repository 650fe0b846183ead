import numpy as np
import pytest
from tvm import relax

from relay_passes import dialect
from relay_passes.pack.pack_layers import block_channels, pack_layers
from relay_passes.rewrite import op_name
from schedules.kernels import reference
from schedules.kernels.window import Window
from schedules.machines.isa import ISAS


def binary_module(shape, weight, window, groups):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            signs = builder.emit(dialect.sign(x))
            made = (
                dialect.dense(signs, relax.const(weight))
                if window is None
                else dialect.conv2d(signs, relax.const(weight), window, groups)
            )
            y = builder.emit_output(builder.emit(made))
        builder.emit_func_output(y)
    return builder.get()


CASES = [
    ((1, 6, 6, 32), (8, 3, 3, 32), Window((3, 3), padding=(1, 1, 1, 1)), 1),
    ((2, 5, 7, 10), (6, 3, 3, 5), Window((3, 3), (2, 1), (1, 1, 1, 1)), 2),
    ((1, 4, 4, 3), (3, 3, 3, 1), Window((3, 3), padding=(1, 1, 1, 1)), 3),
    ((1, 5, 6, 40), (1, 3, 3, 40), Window((3, 3), (2, 1), (1, 1, 1, 1)), 1),
    ((1, 5, 6, 40), (3, 3, 3, 40), Window((3, 3), padding=(1, 1, 1, 1)), 1),
    ((3, 65), (7, 65), None, 1),
    ((2, 5, 40), (4, 40), None, 1),
]


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize(("shape", "weight_shape", "window", "groups"), CASES, ids=str)
def test_packed_layers_compute_what_the_signs_do(isa, shape, weight_shape, window, groups, evaluate):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    weight = rng.choice(np.array([-1, 1], np.float32), weight_shape)
    packed = pack_layers(binary_module(shape, weight, window, groups), isa)
    operators = [op_name(binding.value) for binding in packed["main"].body.blocks[0].bindings]
    assert operators == ["relax.bnn.pack", f"relax.bnn.packed_{'dense' if window is None else 'conv2d'}"]
    signs = np.where(x >= 0, 1, -1)
    expected = reference.dense(signs, weight) if window is None else reference.conv2d(signs, weight, window, groups)
    np.testing.assert_array_equal(evaluate(packed, x), expected)


def test_a_tensor_that_two_layers_read_is_packed_once():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 32), "float32"))
    weight = np.ones((4, 32), np.float32)
    with builder.function("main", [x]):
        with builder.dataflow():
            first = builder.emit(dialect.dense(builder.emit(dialect.sign(x)), relax.const(weight)))
            second = builder.emit(dialect.dense(builder.emit(dialect.sign(x)), relax.const(-weight)))
            y = builder.emit_output(builder.emit(relax.op.add(first, second)))
        builder.emit_func_output(y)
    packed = pack_layers(builder.get(), ISAS[0])
    operators = [op_name(binding.value) for binding in packed["main"].body.blocks[0].bindings]
    assert operators.count("relax.bnn.pack") == 1


def test_output_channels_move_innermost_and_fill_up_with_zeros():
    blocked = block_channels(np.arange(6).reshape(3, 2), lanes=2)
    assert blocked.tolist() == [[[0, 2], [1, 3]], [[4, 0], [5, 0]]]


def packed_value(isa, shapes, body):
    """Build ``body`` on canonical operators, pack it, and return the packed module."""
    builder = relax.BlockBuilder()
    inputs = [relax.Var(f"x{k}", relax.TensorType(shape, "float32")) for k, shape in enumerate(shapes)]
    with builder.function("main", inputs):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(body(builder, *inputs)))
        builder.emit_func_output(y)
    return pack_layers(builder.get(), isa)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize("depth", [1, 33, 64, 70])
def test_a_product_of_activations_is_exact(isa, depth, evaluate):
    def product(builder, a, b):
        return dialect.matmul(builder.emit(dialect.sign(a)), builder.emit(dialect.sign(b)))

    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((2, 3, rows, depth)).astype(np.float32) for rows in (5, 4))
    module = packed_value(isa, [a.shape, b.shape], product)
    expected = np.where(a >= 0, 1, -1) @ np.where(b >= 0, 1, -1).swapaxes(-1, -2)
    np.testing.assert_array_equal(evaluate(module, a, b), expected)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_two_planes_make_a_ternary_sign_with_its_zeros(isa, evaluate):
    weight = np.random.default_rng(1).choice(np.array([-1, 1], np.float32), (6, 40))

    def ternary(builder, x):
        planes = [
            builder.emit(dialect.dense(builder.emit(dialect.sign(x, zero)), relax.const(weight))) for zero in (1, -1)
        ]
        return relax.op.add(*planes)

    x = np.random.default_rng(2).integers(-1, 2, (5, 40)).astype(np.float32)
    x[0, :4] = [0.0, -0.0, 1e-45, -1e-45]
    module = packed_value(isa, [x.shape], ternary)
    np.testing.assert_array_equal(evaluate(module, x), 2 * np.sign(x) @ weight.T)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_padding_can_count_as_minus_one(isa, evaluate):
    window = Window((3, 3), (2, 2), (1, 1, 1, 1))
    weight = np.random.default_rng(3).choice(np.array([-1, 1], np.float32), (5, 3, 3, 7))

    def padded(builder, x):
        return dialect.conv2d(builder.emit(dialect.sign(x)), relax.const(weight), window, 1, pad_sign=-1)

    x = np.random.default_rng(4).standard_normal((1, 6, 7, 7)).astype(np.float32)
    signs = np.pad(np.where(x >= 0, 1, -1), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1)
    expected = reference.conv2d(signs, weight, Window((3, 3), (2, 2)), 1)
    np.testing.assert_array_equal(evaluate(packed_value(isa, [x.shape], padded), x), expected)
