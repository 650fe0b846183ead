"""Instructions that multiply narrow numbers and add neighbouring products in each 32-bit lane."""

from __future__ import annotations

import dataclasses

import tvm

from schedules.machines.isa import Isa


@dataclasses.dataclass(frozen=True)
class Dot:
    """How a target multiplies narrow activations and weights.

    Parameters
    ----------
    mnemonic
        What its assembly contains; empty where products are widened and added one at a time.
    lanes
        Output channels a vector, 32 bits each.
    group
        Products that one step adds to a lane.
    activations
        Their dtype: VNNI multiplies unsigned by signed bytes, ARM signed by signed; other x86 multiplies 16-bit
        numbers, to which weights are widened when a tile loads them. bfloat16 goes as the bits of it, uint16.
    intrinsic
        LLVM's name of the instruction, or that of one of our functions around it.
    """

    mnemonic: str
    lanes: int
    group: int
    activations: str
    intrinsic: str

    @property
    def zero_point(self) -> int:
        """The byte that stands for 0."""
        return 128 if self.activations == "uint8" else 0

    @property
    def is_bf16(self) -> bool:
        """Whether the numbers are bfloat16 and the sums float32; else they are integers, and so are the sums."""
        return self.activations == "uint16"

    @property
    def accumulates(self) -> bool:
        """Whether the instruction adds to the lane; else it leaves that to an addition."""
        return self.activations != "int16"


VPDPBUSD_512 = Dot("vpdpbusd", 16, 4, "uint8", "llvm.x86.avx512.vpdpbusd.512")
VPDPBUSD_256 = Dot("vpdpbusd", 8, 4, "uint8", "llvm.x86.avx512.vpdpbusd.256")
SDOT = Dot("sdot", 4, 4, "int8", "llvm.aarch64.neon.sdot")
VPMADDWD_512 = Dot("vpmaddwd", 16, 2, "int16", "llvm.x86.avx512.pmaddw.d.512")
VPMADDWD = Dot("vpmaddwd", 8, 2, "int16", "llvm.x86.avx2.pmadd.wd")
VDPBF16PS = Dot("vdpbf16ps", 16, 2, "uint16", "bnn_vdpbf16ps_16")
BFDOT = Dot("bfdot", 4, 2, "uint16", "bnn_bfdot_4")
PMADDWD = Dot("pmaddwd", 4, 2, "int16", "llvm.x86.sse2.pmadd.wd")

#: What a processor must have, one of the sets of features, as LLVM calls them, for each machine.
_NEEDS: tuple[tuple[str, Dot, tuple[tuple[str, ...], ...]], ...] = (
    ("x86_64", VPDPBUSD_512, (("avx512vnni", "avx512bw"),)),
    ("x86_64", VPDPBUSD_256, (("avxvnni",), ("avx512vnni", "avx512vl"))),
    ("x86_64", VPMADDWD_512, (("avx512bw",),)),
    ("x86_64", VPMADDWD, (("avx2",),)),
    ("x86_64", PMADDWD, (("sse4.1",),)),
    ("aarch64", SDOT, (("dotprod",),)),
)
_BF16_NEEDS: tuple[tuple[str, Dot, tuple[tuple[str, ...], ...]], ...] = (
    ("x86_64", VDPBF16PS, (("avx512bf16", "avx512bw"),)),
    ("aarch64", BFDOT, (("bf16",),)),
)
DOTS = (VPDPBUSD_512, VPDPBUSD_256, SDOT, VPMADDWD_512, VPMADDWD, PMADDWD, VDPBF16PS, BFDOT)


def widening(isa: Isa) -> Dot:
    """Return what every target can do: a vector of weights widened, times one activation."""
    return Dot("", isa.float_lanes, 1, "int8", "")


def dot_of(options: dict[str, object], isa: Isa) -> Dot:
    """Return the best that a TVM target has for bytes in the vectors of ``isa``."""
    return _first(_NEEDS, options, isa) or widening(isa)


def bf16_dot_of(options: dict[str, object], isa: Isa) -> Dot | None:
    """Return what a TVM target has for bfloat16 in the vectors of ``isa``; None if it has nothing."""
    return _first(_BF16_NEEDS, options, isa)


def _first(
    known: tuple[tuple[str, Dot, tuple[tuple[str, ...], ...]], ...], options: dict[str, object], isa: Isa
) -> Dot | None:
    target = tvm.target.Target(options)
    for machine, dot, alternatives in known:
        fits = dot.lanes == isa.float_lanes and str(options["mtriple"]).startswith(machine)
        if fits and any(tvm.target.codegen.target_has_features(list(needed), target) for needed in alternatives):
            return dot
    return None


def dot_between(activations: str, lanes: int) -> Dot:
    """Return the instruction that a kernel was laid out for."""
    return next(dot for dot in DOTS if (dot.activations, dot.lanes) == (activations, lanes))
