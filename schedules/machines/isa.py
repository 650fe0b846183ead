"""Instruction sets as the kernels see them: how wide a vector is and how many of its registers can accumulate."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Isa:
    """One instruction set.

    Parameters
    ----------
    name
        What targets and variants call it.
    word_bits
        Width of the words that packed tensors are made of, which is also the width of a popcount accumulator.
    vector_bits
        Width of a vector register; 64 where words are counted one by one.
    accumulators
        Register tiles use at most this many vectors.
    registers
        Vector registers: accumulators, the weights of a step, an activation and a product have to fit, or some spill.
    mnemonics
        What the assembly of a binary kernel must contain.
    broadcasts_from_memory
        Whether a product takes a broadcast operand from memory, with an offset, at no cost. On NEON it does not:
        ``ld1r`` knows no offset, so every broadcast needs an addition as well.
    flushes_subnormals
        Whether vectors of float32 take numbers below the least normal one for zero, as 32-bit ARM's always do
        (Arm Architecture Reference Manual for ARMv7-A, A2.7.4, "standard FPSCR value").
    """

    name: str
    word_bits: int
    vector_bits: int
    accumulators: int
    registers: int
    mnemonics: tuple[str, ...]
    broadcasts_from_memory: bool = True
    # Not in the text of an instruction set, of which versions of tuning records are made: schedules do not see it.
    flushes_subnormals: bool = dataclasses.field(default=False, repr=False)

    @property
    def word_dtype(self) -> str:
        """The dtype of a packed tensor."""
        return f"uint{self.word_bits}"

    @property
    def binary_lanes(self) -> int:
        """Output channels that one vector of a binary kernel holds: one accumulator word each."""
        return max(1, self.vector_bits // self.word_bits)

    @property
    def float_lanes(self) -> int:
        """Output channels that one vector of a float32 kernel holds."""
        return max(4, self.vector_bits // 32)


# Lane widths follow what LLVM makes of a vector popcount: one vpopcntd on AVX-512, a nibble shuffle summed by
# vpsadbw into 64-bit lanes on AVX2, and a byte count widened by uadalp into 16-bit lanes on NEON.
AVX512_VPOPCNTDQ = Isa("avx512-vpopcntdq", 32, 512, 28, 32, ("vpopcntd", "zmm"))
AVX2 = Isa("avx2", 64, 256, 8, 16, ("vpshufb", "vpsadbw", "ymm"))
NEON = Isa("neon", 16, 128, 16, 32, ("eor", "cnt", "uadalp"), broadcasts_from_memory=False)
# 32-bit ARM has half the registers, and LLVM has to be shown vpadal (schedules/lowering/pairwise_add.py).
NEON_ARMV7 = Isa("neon-armv7", 16, 128, 8, 16, ("veor", "vcnt.8", "vpadal.u8"), flushes_subnormals=True)
PORTABLE = Isa("portable", 64, 64, 4, 16, ())

ISAS = (AVX512_VPOPCNTDQ, AVX2, NEON, NEON_ARMV7, PORTABLE)


def isa_named(name: str) -> Isa:
    """Return the instruction set of that name; a wrong name is a bug, hence ``KeyError``."""
    return {isa.name: isa for isa in ISAS}[name]
