"""Words moved after packing are those that packing after the moves gives."""

import numpy as np
import pytest
import tvm
from tvm import relax

from relay_passes import dialect, pipeline
from relay_passes.pack.pack_before_moves import pack_before_moves
from relay_passes.rewrite import MAIN, bindings, op_name
from schedules.kernels.binary import bits
from schedules.machines.isa import PORTABLE

WORD = 16


def packed_after(moves, shape: tuple[int, ...]) -> tvm.IRModule:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function(MAIN, [x]):
        with builder.dataflow():
            value = x
            for move in moves:
                value = builder.emit(move(value))
            channels = dialect.shape_of(value)[-1]
            tau = relax.const(np.zeros(channels, np.float32))
            flip = relax.const(bits.pack_bools(np.zeros(channels, np.bool_), WORD, 1))
            words = builder.emit_output(builder.emit(dialect.pack(value, tau, flip, WORD)))
        builder.emit_func_output(words)
    return builder.get()


def names(module: tvm.IRModule) -> list[str]:
    found = [op_name(binding.value) for binding in bindings(module[MAIN])]
    return [name.removeprefix("relax.") for name in found if name is not None]


def run(module: tvm.IRModule, x: np.ndarray) -> np.ndarray:
    lowered = pipeline.run(module, pipeline.lower_to(PORTABLE))
    machine = relax.VirtualMachine(relax.build(lowered, "llvm"), tvm.cpu())
    return machine[MAIN](tvm.runtime.tensor(x)).numpy()


def reshape(*shape):
    return lambda x: relax.op.reshape(x, shape)


def permute(*axes):
    return lambda x: relax.op.permute_dims(x, axes)


def sign(x):
    return relax.op.where(relax.op.greater_equal(x, relax.const(0.0)), relax.const(1.0), relax.const(-1.0))


MOVED = [
    ((6, 64), [reshape(1, 6, 2, 32), permute(0, 2, 1, 3)]),
    ((6, 64), [reshape(6, 2, 32), permute(1, 0, 2), permute(0, 2, 1), reshape(1, 2, 32, 6), permute(0, 1, 3, 2)]),
    ((1, 2, 6, 32), [permute(0, 2, 1, 3), reshape(6, 64)]),
    ((2, 6, 40), [permute(1, 0, 2), reshape(12, 40)]),
    ((2, 6, 40), [reshape(1, 12, 40)]),
    ((2, 3, 4, 48), [permute(2, 0, 1, 3), reshape(4, 288)]),
]
TORN = [
    ((6, 64), [permute(1, 0)]),
    ((6, 40), [reshape(12, 20)]),
    ((2, 1, 12, 12), [reshape(2, 144)]),
    ((2, 144), [reshape(24, 12)]),
    ((6, 64), [reshape(6, 8, 8), permute(0, 2, 1), reshape(6, 64)]),
]


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize(("shape", "moves"), MOVED)
def test_words_are_moved_where_values_were(shape, moves, signs):
    before = packed_after([*moves[:1], sign, *moves[1:]] if signs else moves, shape)
    after = pack_before_moves(before)
    found = names(after)
    assert set(found[found.index("bnn.pack") + 1 :]) <= {"reshape", "permute_dims"}
    assert not {"reshape", "permute_dims"} & set(found[: found.index("bnn.pack")])
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(run(after, x), run(before, x))


@pytest.mark.parametrize(("shape", "moves"), TORN)
def test_moves_that_tear_words_apart_stay(shape, moves):
    before = packed_after(moves, shape)
    after = names(pack_before_moves(before))
    assert after[: after.index("bnn.pack")] == names(before)[: len(moves)]
