"""Instructions that multiply bytes and add neighbouring products in each 32-bit lane."""

from __future__ import annotations

import dataclasses
import functools

import tvm
from tvm import s_tir
from tvm.script import tirx as T

from schedules.isa import Isa


@dataclasses.dataclass(frozen=True)
class Dot:
    """How a target multiplies activations in a byte each with int8 weights.

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
        numbers, to which weights are widened when a tile loads them.
    intrinsic
        LLVM's name of the instruction.
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
    def accumulates(self) -> bool:
        """Whether the instruction adds to the lane; else it leaves that to an addition."""
        return self.activations != "int16"


VPDPBUSD_512 = Dot("vpdpbusd", 16, 4, "uint8", "llvm.x86.avx512.vpdpbusd.512")
VPDPBUSD_256 = Dot("vpdpbusd", 8, 4, "uint8", "llvm.x86.avx512.vpdpbusd.256")
SDOT = Dot("sdot", 4, 4, "int8", "llvm.aarch64.neon.sdot")
VPMADDWD_512 = Dot("vpmaddwd", 16, 2, "int16", "llvm.x86.avx512.pmaddw.d.512")
VPMADDWD = Dot("vpmaddwd", 8, 2, "int16", "llvm.x86.avx2.pmadd.wd")
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
DOTS = (VPDPBUSD_512, VPDPBUSD_256, SDOT, VPMADDWD_512, VPMADDWD, PMADDWD)


def widening(isa: Isa) -> Dot:
    """Return what every target can do: a vector of weights widened, times one activation."""
    return Dot("", isa.float_lanes, 1, "int8", "")


def dot_of(options: dict[str, object], isa: Isa) -> Dot:
    """Return the best that a TVM target has for the vectors of ``isa``."""
    target = tvm.target.Target(options)
    for machine, dot, alternatives in _NEEDS:
        fits = dot.lanes == isa.float_lanes and str(options["mtriple"]).startswith(machine)
        if fits and any(tvm.target.codegen.target_has_features(list(needed), target) for needed in alternatives):
            return dot
    return widening(isa)


def dot_between(activations: str, lanes: int) -> Dot:
    """Return the instruction that a kernel was laid out for."""
    return next(dot for dot in DOTS if (dot.activations, dot.lanes) == (activations, lanes))


@functools.cache
def tensor_intrinsic(dot: Dot) -> str:
    """Register the instruction for ``Schedule.tensorize`` and return its name."""
    lanes, group, dtype = dot.lanes, dot.group, dot.activations
    # LLVM 22 takes vectors of bytes; before, vpdpbusd took them as int32.
    some, every = f"{dtype}x{group}", f"{dtype}x{group * lanes}"
    weights, sums = f"int8x{group * lanes}", f"int32x{lanes}"
    accumulates, intrinsic = dot.accumulates, dot.intrinsic

    @T.prim_func(s_tir=True, private=True)  # type: ignore[untyped-decorator]
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        x = T.match_buffer(a, (group,), dtype, offset_factor=1)
        w = T.match_buffer(b, (lanes, group), "int8", offset_factor=1)
        total = T.match_buffer(c, (lanes,), "int32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], x[0:group], w[0:lanes, 0:group])
            T.writes(total[0:lanes])
            for i in T.serial(0, lanes):
                for k in T.serial(0, group):
                    with T.sblock("update"):
                        lane, byte = T.axis.remap("SR", [i, k])
                        total[lane] = total[lane] + T.cast(x[byte], "int32") * T.cast(w[lane, byte], "int32")

    @T.prim_func(s_tir=True, private=True)  # type: ignore[untyped-decorator]
    def instruction(a: T.handle, b: T.handle, c: T.handle) -> None:
        x = T.match_buffer(a, (group,), dtype, offset_factor=1)
        w = T.match_buffer(b, (lanes, group), "int8", offset_factor=1)
        total = T.match_buffer(c, (lanes,), "int32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], x[0:group], w[0:lanes, 0:group])
            T.writes(total[0:lanes])
            if accumulates:
                total[T.ramp(T.int32(0), 1, lanes)] = T.call_llvm_pure_intrin(
                    sums,
                    intrinsic,
                    total.vload([0], dtype=sums),
                    T.reinterpret(every, T.broadcast(T.reinterpret("int32", x.vload([0], some)), lanes)),
                    w.vload([0, 0], dtype=weights),
                )
            else:
                total[T.ramp(T.int32(0), 1, lanes)] = total.vload([0], dtype=sums) + T.call_llvm_pure_intrin(
                    sums,
                    intrinsic,
                    T.reinterpret(every, T.broadcast(T.reinterpret("int32", x.vload([0], some)), lanes)),
                    T.cast(w.vload([0, 0], dtype=weights), every),
                )

    name = f"bnn_{dot.mnemonic}_{lanes}"
    s_tir.TensorIntrin.register(name, meaning, instruction)
    return name
