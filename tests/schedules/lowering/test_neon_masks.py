"""Packing on 64-bit ARM: what it becomes, and that it is exact, executed in emulation."""

import re

import numpy as np
import pytest
import tvm
from tvm import relax

from rpc.boards import emulation
from schedules.choice import schedule_function
from schedules.kernels import reference
from schedules.kernels.binary import bits
from schedules.kernels.binary.bitpack import bitpack
from schedules.lowering import stack
from schedules.machines.link import linker
from schedules.machines.target import find_target

TARGET = find_target("arm")
#: Words of a pixel: those of one store, of several, of a loop, and what is left over.
CHANNELS = [16, 32, 48, 64, 112, 128, 160, 16 * 27, 24, 100]


def packing(channels: int, dtype: str) -> tvm.tirx.PrimFunc:
    return schedule_function(bitpack((1, 3, 5, channels), dtype, 16), TARGET.isa)[0].with_attr("global_symbol", "main")


def assembly(channels: int, name: str = "arm") -> str:
    target = tvm.target.Target(find_target(name).tvm)
    library = tvm.compile(packing(channels, "float32"), target=target, tir_pipeline=stack.PIPELINE)
    return str(library.mod.inspect_source("asm"))


@pytest.mark.parametrize(("channels", "additions"), [(32, 3), (64, 4), (128, 7)])
def test_words_of_a_pixel_are_added_up_together(channels, additions):
    found = assembly(channels)
    assert len(re.findall(r"\taddp\t", found)) % additions == 0
    assert not re.findall(r"\t(?:addv|strh)\t", found)


def test_a_loop_of_many_words_stays_one():
    assert len(re.findall(r"\taddp\t", assembly(16 * 64))) == 7


def test_a_single_word_and_words_of_32_bits_are_left_to_llvm():
    assert "\taddp\t" not in assembly(16)
    assert "addp" not in assembly(64, "x86-avx512")


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint16"])
def test_bits_are_exact_in_emulation(dtype, tmp_path):
    """All channel counts in one library: starting the emulator costs more than running it."""
    missing = emulation.prepare(TARGET.machine)
    if missing is not None:
        pytest.skip(missing)
    rng = np.random.default_rng(0)
    builder, inputs, expected = relax.BlockBuilder(), [], []
    parameters = []
    for channels in CHANNELS:
        x, tau = (rng.integers(1, 6, shape).astype(dtype) for shape in ((1, 3, 5, channels), channels))
        flip = bits.pack_bools(rng.random(channels) < 0.5, 16)
        inputs += [x, tau, flip]
        words = bits.pack_bools(reference.threshold(x, tau, np.zeros(channels, bool)), 16)
        expected.append(words ^ flip)
        parameters += [
            relax.Var(f"{name}{channels}", relax.TensorType(value.shape, str(value.dtype)))
            for name, value in zip(("x", "tau", "flip"), (x, tau, flip), strict=True)
        ]
    with builder.function("main", parameters):
        made = []
        with builder.dataflow():
            for number, words in enumerate(expected):
                function = packing(CHANNELS[number], dtype).without_attr("global_symbol")
                of = builder.add_func(function, f"pack{number}")
                operands = parameters[3 * number : 3 * number + 3]
                made.append(
                    builder.emit_output(relax.call_tir(of, operands, out_ty=relax.TensorType(words.shape, "uint16")))
                )
        builder.emit_func_output(made)
    built = relax.build(
        builder.get(), target=tvm.target.Target(TARGET.tvm), tir_pipeline=stack.PIPELINE, exec_mode="compiled"
    )
    library = tmp_path / "library.so"
    built.export_library(str(library), fcompile=linker(TARGET.link_triple, "zig"))
    (found,) = emulation.run(library, TARGET.machine, TARGET.emulated_cpu, [inputs])
    for words, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(words, right)
