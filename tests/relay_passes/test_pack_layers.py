import numpy as np
import pytest
from tvm import relax

from relay_passes import dialect
from relay_passes.pack_layers import block_channels, pack_layers
from relay_passes.rewrite import op_name
from schedules import reference
from schedules.isa import ISAS
from schedules.window import Window


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
