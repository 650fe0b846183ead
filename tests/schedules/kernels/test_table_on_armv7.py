"""The kernels for 32-bit ARM, executed: there is no TVM runtime for it, so each is linked with a small C program."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import te

from relay_passes.pack.pack_layers import block_channels
from relay_passes.pack.round_limits import normal_limits
from rpc.boards.runtime_libraries import include_folder
from rpc.formats.tensor_file import encode
from schedules.choice import schedule_function
from schedules.kernels import reference
from schedules.kernels.binary import bits
from schedules.kernels.binary.bitpack import bitpack, wide
from schedules.kernels.binary.border import border_table
from schedules.kernels.table import BINARY_CONV2D, BINARY_DENSE, BINARY_MATMUL, FLOAT_CONV2D
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.target import find_target

QEMU = shutil.which("qemu-arm") or shutil.which("qemu-arm-static")
pytestmark = pytest.mark.skipif(QEMU is None, reason="Debian's qemu-user is not installed")
ZIG = [sys.executable, "-m", "ziglang", "cc", "-target", "arm-linux-musleabihf", "-mcpu=cortex_a7", "-static", "-s"]
TARGET = find_target("armv7")
PADDED = Window((3, 3), padding=(1, 1, 1, 1))
CONVOLUTIONS = [
    (8, 8, 64, 64, PADDED, 1),
    (7, 5, 33, 31, PADDED, 1),
    (9, 7, 65, 63, Window((3, 3), (2, 2), (1, 1, 1, 1)), 1),
    (9, 9, 32, 32, Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2)), 1),
    (6, 6, 64, 64, PADDED, 2),
]
LEAST = np.finfo(np.float32).smallest_normal
ROWS = [(5, 31, 10), (3, 4608, 33), (2, 70000, 4)]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Return the compiled C program, still without a kernel."""
    compiled = tmp_path_factory.mktemp("armv7") / "run_kernel.o"
    source = Path(__file__).with_name("run_kernel.c")
    subprocess.run([*ZIG, "-O1", "-c", str(source), f"-I{include_folder()}", "-o", str(compiled)], check=True)
    return compiled


def execute(program: Path, folder: Path, function: tvm.tirx.PrimFunc, arrays: list[np.ndarray]) -> bytes:
    """Return the bytes of the last array after the scheduled function has run."""
    scheduled, _ = schedule_function(function, TARGET.isa)
    library = tvm.compile(scheduled, target=tvm.target.Target(TARGET.tvm), tir_pipeline=stack.PIPELINE)
    kernel, executable = folder / "kernel.o", folder / "kernel"
    library.mod.write_to_file(str(kernel), "o")
    subprocess.run([*ZIG, str(program), str(kernel), "-lm", "-o", str(executable)], check=True)
    tensors, result = folder / "tensors", folder / "result"
    tensors.write_bytes(encode([arrays]))
    subprocess.run([str(QEMU), "-cpu", "cortex-a7", str(executable), str(tensors), str(result)], check=True)
    return result.read_bytes()


def placeholders(arrays: list[np.ndarray]) -> list[te.Tensor]:
    return [te.placeholder(wide(array.shape), str(array.dtype)) for array in arrays]


def signs(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.choice(np.array([-1, 1], np.int32), shape)


@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_binary_convolution_is_exact(program, tmp_path, shape):
    height, width, depth, channels, window, groups = shape
    rng = np.random.default_rng(0)
    isa = TARGET.isa
    x, weight = signs(rng, 2, height, width, depth), signs(rng, channels, *window.kernel, depth // groups)
    lanes = isa.binary_lanes if groups == 1 else int(np.gcd(channels // groups, isa.binary_lanes))
    arrays = [
        bits.pack(x, isa.word_bits, groups),
        np.ascontiguousarray(block_channels(bits.pack(weight, isa.word_bits), lanes)),
        np.pad(border_table(weight, window, height, width), ((0, 0), (0, 0), (0, -channels % lanes))),
    ]
    expected = BINARY_CONV2D.reference(x, weight, window, groups).astype(np.int32)
    tensors = placeholders(arrays)
    function = te.create_prim_func([*tensors, BINARY_CONV2D.meaning(*tensors, window, channels, groups)])
    got = execute(program, tmp_path, function, [*arrays, np.full(expected.shape, 77, np.int32)])
    np.testing.assert_array_equal(np.frombuffer(got, np.int32).reshape(expected.shape), expected)


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_binary_linear_layer_is_exact(program, tmp_path, shape):
    rows, depth, channels = shape
    rng = np.random.default_rng(1)
    isa = TARGET.isa
    x, weight = signs(rng, rows, depth), signs(rng, channels, depth)
    weight[0], weight[-1] = x[0], -x[0]
    arrays = [
        bits.pack(x, isa.word_bits),
        np.ascontiguousarray(block_channels(bits.pack(weight, isa.word_bits), isa.binary_lanes)),
    ]
    expected = BINARY_DENSE.reference(x, weight).astype(np.int32)
    tensors = placeholders(arrays)
    function = te.create_prim_func([*tensors, BINARY_DENSE.meaning(*tensors, channels, depth)])
    got = execute(program, tmp_path, function, [*arrays, np.full(expected.shape, 77, np.int32)])
    np.testing.assert_array_equal(np.frombuffer(got, np.int32).reshape(expected.shape), expected)


@pytest.mark.parametrize(("rows", "others", "depth"), [(13, 50, 64), (4, 16, 33)])
def test_product_of_activations_is_exact(program, tmp_path, rows, others, depth):
    rng = np.random.default_rng(4)
    a, b = signs(rng, 2, 3, rows, depth), signs(rng, 2, 3, others, depth)
    arrays = [bits.pack(a, TARGET.isa.word_bits), bits.pack(b, TARGET.isa.word_bits)]
    expected = BINARY_MATMUL.reference(a, b).astype(np.int32)
    tensors = placeholders(arrays)
    made = BINARY_MATMUL.meaning(*tensors, depth, BINARY_MATMUL.lanes(TARGET.isa))
    function = te.create_prim_func([*tensors, made])
    got = execute(program, tmp_path, function, [*arrays, np.full(expected.shape, 77, np.int32)])
    np.testing.assert_array_equal(np.frombuffer(got, np.int32).reshape(expected.shape), expected)


def test_float_convolution_is_exact_on_small_integers(program, tmp_path):
    rng = np.random.default_rng(2)
    x = rng.integers(-8, 9, (1, 8, 8, 3)).astype(np.float32)
    weight = rng.integers(-8, 9, (10, 3, 3, 3)).astype(np.float32)
    arrays = [x, np.ascontiguousarray(block_channels(weight, TARGET.isa.float_lanes))]
    expected = FLOAT_CONV2D.reference(x, weight, PADDED).astype(np.float32)
    tensors = placeholders(arrays)
    function = te.create_prim_func([*tensors, FLOAT_CONV2D.meaning(*tensors, PADDED, 10)])
    got = execute(program, tmp_path, function, [*arrays, np.full(expected.shape, 77, np.float32)])
    np.testing.assert_array_equal(np.frombuffer(got, np.float32).reshape(expected.shape), expected)


#: Numbers of no result of a vector, but of limits: the sign that takes zero for -1 starts at the first.
SUBNORMALS = [1e-45, -1e-45, 1e-39, -1e-39]
NUMBERS = [0.0, -0.0, LEAST, -LEAST, 1.0, -1.0, 3e38, np.inf, -np.inf]
#: Whole words, several, a byte, ragged ones, and no vector at all.
ROWS_PACKED = [(3, 16), (1, 6, 6, 48), (1, 1536), (5, 8), (2, 3, 40), (7, 20), (4, 5)]


def packed(program: Path, folder: Path, x: np.ndarray, tau: np.ndarray, flip: np.ndarray) -> np.ndarray:
    words = np.zeros((*x.shape[:-1], len(flip)), np.uint16)
    function = bitpack(x.shape, str(x.dtype), 16).without_attr("global_symbol").with_attr("global_symbol", "main")
    got = execute(program, folder, function, [x, tau, flip, words])
    return np.frombuffer(got, np.uint16).reshape(words.shape)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint16"])
@pytest.mark.parametrize("shape", ROWS_PACKED, ids=str)
def test_signs_are_packed_exactly(program, tmp_path, shape, dtype):
    """Limits are any that a pass can leave, zeros meet them from both sides, and bits are inverted."""
    rng = np.random.default_rng(3)
    channels = shape[-1]
    if dtype == "float32":
        x = rng.choice(np.array(NUMBERS, np.float32), shape)
        limits = rng.choice(np.array([*NUMBERS, *SUBNORMALS, np.nan], np.float32), channels)
        tau = normal_limits(limits)
    else:
        x, limits = (rng.integers(0, 5, extents).astype(dtype) for extents in (shape, channels))
        tau = limits
    flip = bits.pack_bools(rng.random(channels) < 0.5, 16)
    words = bits.pack_bools(reference.threshold(x, limits, np.zeros(channels, np.bool_)), 16)
    np.testing.assert_array_equal(packed(program, tmp_path, x, tau, flip), words ^ flip)


def test_vectors_flush_as_the_instruction_set_says(program, tmp_path):
    """A processor that did not would need no rounded limits: 0 is not above the least subnormal number."""
    x, tau = np.zeros((1, 16), np.float32), np.full(16, 1e-45, np.float32)
    words = packed(program, tmp_path, x, tau, np.zeros(1, np.uint16))
    assert bool(words[0, 0]) == TARGET.isa.flushes_subnormals
