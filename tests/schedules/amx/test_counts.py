"""AMX's kernel, its instructions emulated: the counts of the popcount kernel, on shapes that hurt; and its assembly."""

import re

import numpy as np
import pytest
import tvm

from relay_passes.pack.pack_layers import block_channels
from schedules.amx.blocks import Layer
from schedules.amx.counts import counts
from schedules.amx.tiles import LANES, tiled_weights
from schedules.choice import schedule_function
from schedules.kernels.binary import bits
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines import host
from schedules.machines.amx import REFUSED
from schedules.machines.isa import AVX512_VPOPCNTDQ
from schedules.machines.target import find_target

PADDED = Window((3, 3), padding=(1, 1, 1, 1))
# (batch, height, width, channels in, channels out, window)
CONVOLUTIONS = [
    (2, 8, 8, 64, 64, PADDED),
    (1, 7, 5, 33, 31, PADDED),
    (2, 6, 6, 1, 5, PADDED),
    (1, 9, 7, 65, 63, Window((3, 3), (2, 2), (1, 1, 1, 1))),
    (1, 8, 8, 48, 24, Window((5, 5), (1, 1), (2, 2, 2, 2))),
    (2, 9, 9, 32, 32, Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2))),
    (1, 4, 4, 128, 96, Window((1, 1))),
    (1, 2, 2, 16, 16, Window((5, 5), padding=(2, 2, 2, 2))),
    (1, 3, 11, 512, 16, Window((1, 7), padding=(0, 3, 0, 3))),
    (1, 3, 17, 96, 48, PADDED),
    (1, 5, 35, 160, 32, Window((3, 3), (1, 2), (0, 1, 2, 0))),
    (1, 2, 128, 64, 32, Window((3, 3), padding=(1, 1, 1, 1))),
    (1, 14, 14, 256, 64, PADDED),
    # Enough for threads to share.
    (1, 28, 28, 128, 64, PADDED),
]
# (leading axes and rows, depth, channels)
ROWS = [
    ((1,), 64, 64),
    ((5,), 31, 10),
    ((3,), 4608, 33),
    ((2, 16), 65, 128),
    ((2, 3, 20), 96, 32),
    ((197,), 64, 32),
    ((240,), 1, 16),
]
WITH_TILES = {"amx_tile", "amx_int8"} <= host.flags()


def signs(rng, *shape):
    return rng.choice(np.array([-1, 1], np.int32), shape)


def padded_words(x, window):
    """Return the bits of signs amid padding, which counts as no bit set: ``(..., depth)``."""
    top, left, bottom, right = window.padding
    return np.pad(x > 0, ((0, 0), (top, bottom), (left, right), (0, 0)))


def expected_counts(x, weight, window):
    """Return how many bits of each window differ from the weights'; ``(N, OH, OW, channels)``."""
    vertical, horizontal = window.axes(*x.shape[1:3])
    on, w = padded_words(x, window).astype(np.int32), (weight > 0).astype(np.int32)
    total = np.zeros((len(x), vertical.out, horizontal.out, len(weight)), np.int32)
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            i, j = row * window.dilation[0], column * window.dilation[1]
            taps = on[:, i :: window.strides[0], j :: window.strides[1]][:, : vertical.out, : horizontal.out]
            total += taps @ (1 - w[:, row, column]).T + (1 - taps) @ w[:, row, column].T
    return total


def operands(x, weight):
    blocked = np.ascontiguousarray(block_channels(bits.pack(weight, 32), LANES))
    return [bits.pack(x, 32), *tiled_weights(blocked)]


def scheduled(words, blocks, window):
    layer = Layer(words.shape, blocks, window)
    function = counts(layer).with_attr("global_symbol", "main")
    return layer, schedule_function(function, AVX512_VPOPCNTDQ)[0]


def run(layer, function, arrays, target):
    library = tvm.compile(function, target=target, tir_pipeline=stack.PIPELINE)
    result = tvm.runtime.tensor(np.full((*layer.spatial, layer.blocks * LANES), 77, np.int32))
    library["main"](*map(tvm.runtime.tensor, arrays), result)
    return result.numpy()


@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_tiles_count_what_popcount_counts(shape, emulated_tiles):
    batch, height, width, depth, channels, window = shape
    rng = np.random.default_rng(0)
    x, weight = signs(rng, batch, height, width, depth), signs(rng, channels, *window.kernel, depth)
    arrays = operands(x, weight)
    layer, function = scheduled(arrays[0], len(arrays[1]), window)
    before = emulated_tiles.faults(), emulated_tiles.multiplications()
    found = run(layer, emulated_tiles.replace(function), arrays, "llvm")
    np.testing.assert_array_equal(found[..., :channels], expected_counts(x, weight, window))
    assert emulated_tiles.faults() == before[0]
    assert emulated_tiles.multiplications() > before[1]


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_tiles_count_for_linear_layers(shape, emulated_tiles):
    outer, depth, channels = shape
    rng = np.random.default_rng(1)
    x, weight = signs(rng, *outer, depth), signs(rng, channels, depth)
    # All products the same in the first and in the last channel: the ends of what can be counted.
    weight[0] = x.reshape(-1, depth)[0]
    weight[-1] = -weight[0]
    arrays = operands(x, weight)
    layer, function = scheduled(arrays[0], len(arrays[1]), None)
    before = emulated_tiles.faults()
    found = run(layer, emulated_tiles.replace(function), arrays, "llvm")
    np.testing.assert_array_equal(found[..., :channels], (depth - x @ weight.T) // 2)
    assert emulated_tiles.faults() == before


def compiled_for_amx(x, weight):
    arrays = operands(x, weight)
    layer, function = scheduled(arrays[0], len(arrays[1]), PADDED)
    target = tvm.target.Target(find_target("x86-amx").tvm)
    return layer, function, arrays, target


@pytest.fixture(scope="module")
def assembly():
    rng = np.random.default_rng(2)
    _, function, _, target = compiled_for_amx(signs(rng, 1, 28, 28, 128), signs(rng, 128, 3, 3, 128))
    library = tvm.compile(function, target=target, tir_pipeline=stack.PIPELINE)
    return str(library.mod.inspect_source("asm"))


def test_the_instructions_are_those_of_amx_and_no_tile_is_spilled(assembly):
    multiplications, loads, stores = (
        len(re.findall(rf"\t{name}\t", assembly)) for name in ("tdpbusd", "tileloadd", "tilestored")
    )
    # Two tiles of each operand for four products, and the sums' start.
    assert multiplications >= 4
    assert loads == multiplications + 4
    assert stores == 4
    assert set(re.findall(r"%tmm\d", assembly)) == {f"%tmm{register}" for register in range(8)}
    assert "tilerelease" in assembly
    assert "ldtilecfg" in assembly


def test_a_mask_makes_64_bytes_of_64_bits(assembly):
    assert "kmovq" in assembly
    # Bytes of weights, and of activations.
    assert re.search(r"vpblendmb\t%zmm\d+, %zmm\d+, %zmm\d+ {%k\d}", assembly)
    assert re.search(r"vmovdqu8\t%zmm\d+, %zmm\d+ {%k\d} {z}", assembly)


def test_permission_is_asked_for_in_the_code_itself(assembly):
    assert re.search(r"movl\t\$158, %eax", assembly)
    assert "\tsyscall" in assembly


def test_other_kernels_do_not_ask_for_tiles(convolution):
    function, _ = schedule_function(convolution(AVX512_VPOPCNTDQ), AVX512_VPOPCNTDQ)
    target = tvm.target.Target(find_target("x86-amx").tvm)
    library = tvm.compile(function, target=target, tir_pipeline=stack.PIPELINE)
    assert "syscall" not in str(library.mod.inspect_source("asm"))


@pytest.mark.skipif(WITH_TILES or AVX512_VPOPCNTDQ not in host.isas(), reason="needs AVX-512, and no AMX")
def test_where_the_system_gives_no_tiles_one_line_says_so():
    rng = np.random.default_rng(3)
    layer, function, arrays, target = compiled_for_amx(signs(rng, 1, 8, 8, 64), signs(rng, 32, 3, 3, 64))
    with pytest.raises(RuntimeError) as caught:
        run(layer, function, arrays, target)
    assert REFUSED in str(caught.value)


@pytest.mark.skipif(not WITH_TILES, reason="this processor has no AMX")
@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_tiles_count_on_the_processor_itself(shape):
    batch, height, width, depth, channels, window = shape
    rng = np.random.default_rng(0)
    x, weight = signs(rng, batch, height, width, depth), signs(rng, channels, *window.kernel, depth)
    arrays = operands(x, weight)
    layer, function = scheduled(arrays[0], len(arrays[1]), window)
    found = run(layer, function, arrays, tvm.target.Target(find_target("x86-amx").tvm))
    np.testing.assert_array_equal(found[..., :channels], expected_counts(x, weight, window))
