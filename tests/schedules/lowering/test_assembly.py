"""What instructions the binary kernels become; works without the machines."""

import re

import numpy as np
import pytest
import tvm
from tvm import te, topi

from schedules.choice import schedule_function
from schedules.kernels.binary import bits
from schedules.kernels.binary.bconv2d import bconv2d
from schedules.kernels.binary.bitpack import wide
from schedules.kernels.binary.border import border_table
from schedules.kernels.table import BINARY_MATMUL, FLOAT_DENSE
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.target import find_target
from tvm_bnn.bench.limits.cycle_model import hottest_loop

WINDOW = Window((3, 3), padding=(1, 1, 1, 1))


def assembly_of_binary_convolution(name: str, channels: int = 256) -> str:
    target = find_target(name)
    words = te.placeholder(wide((1, 14, 14, bits.words_for(channels, target.isa.word_bits))), target.isa.word_dtype)
    depth, lanes = words.shape[-1], target.isa.binary_lanes
    weights = te.placeholder(wide((256 // lanes, 3, 3, int(depth), lanes)), target.isa.word_dtype)
    table = border_table(np.ones((256, 3, 3, channels)), WINDOW, 14, 14)
    border = te.placeholder(wide(table.shape), "int32")
    made = bconv2d(words, weights, border, WINDOW, 256)
    function, _ = schedule_function(te.create_prim_func([words, weights, border, made]), target.isa)
    library = tvm.compile(function, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE)
    return str(library.mod.inspect_source("asm"))


@pytest.mark.parametrize("name", ["x86-avx512", "x86-avx2", "arm", "rpi3", "rpi5", "armv7"])
def test_a_binary_kernel_is_made_of_its_instruction_sets_popcount(name):
    assembly = assembly_of_binary_convolution(name)
    missing = [mnemonic for mnemonic in find_target(name).isa.mnemonics if mnemonic not in assembly]
    assert not missing


@pytest.mark.parametrize("name", ["neoverse-v1", "neoverse-v2"])
def test_vectors_of_128_bits_are_counted_without_sve(name):
    """SVE's cnt overwrites an operand: copies would come with it."""
    loop = hottest_loop(assembly_of_binary_convolution(name))
    assert sum("\tuadalp\t" in line for line in loop) == sum("\tcnt\t" in line for line in loop) > 0
    assert not any(re.search(r"\bz\d+\.", line) for line in loop)


def assembly_of_product(name: str) -> str:
    target = find_target(name)
    words = bits.words_for(64, target.isa.word_bits)
    tensors = [te.placeholder(wide((8, rows, words)), target.isa.word_dtype) for rows in (128, 64)]
    made = BINARY_MATMUL.meaning(*tensors, 64, target.isa.binary_lanes)
    function, _ = schedule_function(te.create_prim_func([*tensors, made]), target.isa)
    library = tvm.compile(function, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE)
    return str(library.mod.inspect_source("asm"))


@pytest.mark.parametrize("name", ["x86-avx512", "x86-amx", "x86-avx2", "arm", "rpi3", "rpi5", "armv7"])
def test_a_product_of_activations_is_made_of_its_instruction_sets_popcount(name):
    assembly = assembly_of_product(name)
    assert not [mnemonic for mnemonic in find_target(name).isa.mnemonics if mnemonic not in assembly]


@pytest.mark.parametrize("name", ["x86-avx512", "arm"])
def test_the_laid_out_operand_and_the_sums_of_a_product_stay_on_the_stack(name):
    assert "BackendAllocWorkspace" not in assembly_of_product(name)


@pytest.mark.parametrize("name", ["x86-avx512", "arm"])
def test_accumulators_stay_in_registers(name):
    """A heap workspace for the accumulators would be stored and loaded around every tile."""
    assembly = assembly_of_binary_convolution(name)
    # The padded input is the one buffer that is too large for the stack.
    assert len(re.findall(r"BackendAllocWorkspace", assembly)) <= 3


def test_avx512_counts_with_one_instruction_a_vector_and_no_shuffles():
    assembly = assembly_of_binary_convolution("x86-avx512")
    assert assembly.count("vpopcntd") >= 14
    assert "vpshufb" not in assembly


def test_neon_broadcasts_from_the_lanes_of_what_one_load_brought():
    """An address has to be computed for every ld1r: it takes no offset."""
    assembly = assembly_of_binary_convolution("arm")
    assert len(re.findall(r"dup\tv\d+\.8h, v\d+\.h\[[1-7]\]", assembly)) >= 7
    assert assembly.count("ld1r") < assembly.count("dup\t")


@pytest.mark.parametrize(("channels", "steps"), [(16, 3), (32, 6), (64, 12), (128, 8), (256, 8)])
def test_neon_branches_once_in_so_many_steps(channels, steps):
    """Few words under a column of the window are too little for a loop: all columns follow each other."""
    loop = hottest_loop(assembly_of_binary_convolution("arm", channels))
    accumulators = {register for line in loop for register in re.findall(r"uadalp\tv(\d+)\.8h", line)}
    assert sum("\tcnt\t" in line for line in loop) == steps * len(accumulators)
    assert len(accumulators) == 16
    assert not any(re.search(r"\bq\d+, \[sp", line) for line in loop)


@pytest.mark.parametrize("channels", [100, 200])
def test_neon_loads_depths_that_no_vector_divides_as_a_whole(channels):
    """7 words, and 13."""
    loop = hottest_loop(assembly_of_binary_convolution("arm", channels))
    lanes = [line for line in loop if re.search(r"\tdup\tv\d+\.8h, v\d+\.h", line)]
    # Two pixels; the last word of each is a load of its own, of one lane.
    assert len(lanes) >= (bits.words_for(channels, 16) - 1) * 2


@pytest.mark.parametrize(
    ("name", "product", "spill"),
    [
        ("x86-avx2", r"vfmadd231ps\t\S*\(%r\w+,%r\w+,8\), %ymm\d+, %ymm\d+", r"%rsp.*%ymm|%ymm.*%rsp"),
        ("x86-avx512", r"vfmadd231ps\t\S*\(%r\w+,%r\w+(?:,\d+)?\), %zmm\d+, %zmm\d+", r"%rsp.*%zmm|%zmm.*%rsp"),
        ("arm", r"fmla\tv\d+\.4s, v\d+\.4s, v\d+\.s\[\d\]", r"\bq\d+.*\[sp"),
    ],
)
def test_a_linear_layer_of_one_row_keeps_several_sums_in_registers(name, product, spill):
    """One sum would wait four cycles for itself."""
    target = find_target(name)
    lanes = target.isa.float_lanes
    tensors = [
        te.placeholder(wide((1, 512)), "float32"),
        te.placeholder(wide((-(-1000 // lanes), 512, lanes)), "float32"),
    ]
    made = FLOAT_DENSE.meaning(*tensors, -(-1000 // lanes) * lanes)
    function, choice = schedule_function(te.create_prim_func([*tensors, made]), target.isa)
    library = tvm.compile(function, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE)
    blocks = re.split(r"\n(?=\.LBB)", str(library.mod.inspect_source("asm")))
    hot = max(blocks, key=lambda block: len(re.findall(product, block)))
    assert len(re.findall(product, hot)) >= choice.tile.vectors >= 3
    assert not re.search(spill, hot)


@pytest.mark.parametrize(
    ("name", "addition"),
    [
        ("x86-avx512", r"vaddps\s.*zmm"),
        ("x86-avx2", r"vaddps\s.*ymm"),
        ("arm", r"fadd\s+v\d+\.4s"),
        ("armv7", r"vadd\.f32\s+q"),
    ],
)
@pytest.mark.parametrize("shape", [(2, 64, 256), (2, 8, 24)], ids=str)
def test_a_mean_of_each_sample_adds_vectors_as_they_lie_in_memory(name, addition, shape):
    """The second shape's rows are not whole vectors: one vector ends in the next row."""
    target = find_target(name)
    x = te.placeholder(shape, "float32")
    mean = topi.divide(topi.sum(x, [1, 2], keepdims=True), 7.0)
    function, _ = schedule_function(te.create_prim_func([x, mean]), target.isa)
    library = tvm.compile(function, target=tvm.target.Target(target.tvm), tir_pipeline=stack.PIPELINE)
    assembly = str(library.mod.inspect_source("asm"))
    assert re.search(addition, assembly)
    assert "gather" not in assembly
    assert "BackendAllocWorkspace" not in assembly, "partial sums stay in registers"
