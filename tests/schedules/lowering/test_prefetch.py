import itertools

import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm import te, tirx

from schedules.choice import schedule_function
from schedules.kernels.binary.bitpack import wide
from schedules.kernels.floats.conv2d import conv2d
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.lowering.prefetch import passes_of, prefetch_weights
from schedules.machines.isa import AVX512_VPOPCNTDQ, NEON
from schedules.machines.target import find_target

WINDOW = Window((3, 3), padding=(1, 1, 1, 1))


def float_layer(size, depth, channels, isa):
    x = te.placeholder(wide((1, size, size, depth)), "float32")
    weights = te.placeholder(wide((channels // isa.float_lanes, 3, 3, depth, isa.float_lanes)), "float32")
    function = te.create_prim_func([x, weights, conv2d(x, weights, WINDOW, channels)])
    return schedule_function(function, isa)[0]


def fetched(passes):
    """Return, for each first block of a tile that is about to be used, the lines of it that the passes before fetch."""
    variables = [loop.loop_var for loop in passes.loops]
    block_bytes = int(np.prod([int(extent) for extent in passes.weights.shape[1:]])) * 4
    found = {}
    for turns in itertools.product(*(range(int(loop.extent)) for loop in passes.loops)):
        values = {var: tirx.const(turn, "int64") for var, turn in zip(variables, turns, strict=True)}
        in_turn = (tirx.Var, lambda var, values=values: values.get(var, var))
        block, position = (
            int(tvm.sym.Analyzer().simplify(tvm_ffi.structural_map(value, in_turn)))
            for value in (passes.next_block, passes.position)
        )
        lines = range(position * passes.lines, (position + 1) * passes.lines)
        found.setdefault(block, set()).update(lines)
    return found, passes.blocks * block_bytes // 64


@pytest.mark.parametrize("size", [7, 14, 28])
def test_the_passes_over_a_tile_fetch_all_of_the_next(size):
    passes = passes_of(float_layer(size, 32, 128, AVX512_VPOPCNTDQ))
    found, lines = fetched(passes)
    assert sorted(found) == list(range(passes.blocks, 8 + passes.blocks, passes.blocks))
    assert all(set(range(lines)) <= tile for tile in found.values())


def test_a_binary_layer_fetches_and_computes_what_it_did(convolution):
    isa = AVX512_VPOPCNTDQ
    target = find_target("x86-avx512")
    plain, _ = schedule_function(convolution(isa, 14, 64, 256), isa)
    fetching = prefetch_weights(plain, isa)
    assembly = [
        str(
            tvm.compile(each, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE).mod.inspect_source(
                "asm"
            )
        )
        for each in (plain, fetching)
    ]
    assert ["prefetcht1" in each for each in assembly] == [False, True]
    rng = np.random.default_rng(0)
    arrays = []
    for parameter in plain.params[:-1]:
        shape, dtype = [int(extent) for extent in parameter.shape], str(parameter.dtype)
        arrays.append(tvm.runtime.tensor(rng.integers(0, 2**31, shape).astype(dtype)))
    results = []
    for each in (plain, fetching):
        result = tvm.runtime.tensor(np.full([int(extent) for extent in plain.params[-1].shape], 77, "int32"))
        tvm.compile(each, target="llvm", tir_pipeline=stack.PIPELINE)["main"](*arrays, result)
        results.append(result.numpy())
    np.testing.assert_array_equal(*results)


def test_one_tile_or_few_passes_or_other_processors_fetch_nothing(convolution):
    one_tile = schedule_function(convolution(AVX512_VPOPCNTDQ, 14, 64, 32), AVX512_VPOPCNTDQ)[0]
    few_passes = schedule_function(convolution(AVX512_VPOPCNTDQ, 1, 64, 256), AVX512_VPOPCNTDQ)[0]
    for function in (one_tile, few_passes):
        assert prefetch_weights(function, AVX512_VPOPCNTDQ).same_as(function)
    on_arm = schedule_function(convolution(NEON, 14, 64, 256), NEON)[0]
    assert prefetch_weights(on_arm, NEON).same_as(on_arm)
