"""Instructions that multiply bytes and add four neighbouring products to each 32-bit lane."""

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
        Their dtype: x86 multiplies unsigned by signed bytes, ARM signed by signed.
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


VPDPBUSD_512 = Dot("vpdpbusd", 16, 4, "uint8", "llvm.x86.avx512.vpdpbusd.512")
VPDPBUSD_256 = Dot("vpdpbusd", 8, 4, "uint8", "llvm.x86.avx512.vpdpbusd.256")
SDOT = Dot("sdot", 4, 4, "int8", "llvm.aarch64.neon.sdot")

#: What a processor must have, one of the sets of features, as LLVM calls them, for each machine.
_NEEDS: tuple[tuple[str, Dot, tuple[tuple[str, ...], ...]], ...] = (
    ("x86_64", VPDPBUSD_512, (("avx512vnni", "avx512bw"),)),
    ("x86_64", VPDPBUSD_256, (("avxvnni",), ("avx512vnni", "avx512vl"))),
    ("aarch64", SDOT, (("dotprod",),)),
)
DOTS = (VPDPBUSD_512, VPDPBUSD_256, SDOT)


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
    lanes, dtype, intrinsic = dot.lanes, dot.activations, dot.intrinsic
    weights, sums = f"int8x{4 * lanes}", f"int32x{lanes}"
    # LLVM 22 takes vectors of bytes; before, vpdpbusd took them as int32.
    bytes_of_all, word = f"{dtype}x{4 * lanes}", "int32"

    @T.prim_func(s_tir=True, private=True)  # type: ignore[untyped-decorator]
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        x = T.match_buffer(a, (4,), dtype, offset_factor=1)
        w = T.match_buffer(b, (lanes, 4), "int8", offset_factor=1)
        total = T.match_buffer(c, (lanes,), "int32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], x[0:4], w[0:lanes, 0:4])
            T.writes(total[0:lanes])
            for i in T.serial(0, lanes):
                for k in T.serial(0, 4):
                    with T.sblock("update"):
                        lane, byte = T.axis.remap("SR", [i, k])
                        total[lane] = total[lane] + T.cast(x[byte], "int32") * T.cast(w[lane, byte], "int32")

    @T.prim_func(s_tir=True, private=True)  # type: ignore[untyped-decorator]
    def instruction(a: T.handle, b: T.handle, c: T.handle) -> None:
        x = T.match_buffer(a, (4,), dtype, offset_factor=1)
        w = T.match_buffer(b, (lanes, 4), "int8", offset_factor=1)
        total = T.match_buffer(c, (lanes,), "int32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], x[0:4], w[0:lanes, 0:4])
            T.writes(total[0:lanes])
            total[T.ramp(T.int32(0), 1, lanes)] = T.call_llvm_pure_intrin(
                sums,
                intrinsic,
                total.vload([0], dtype=sums),
                T.reinterpret(bytes_of_all, T.broadcast(T.reinterpret(word, x.vload([0], f"{dtype}x4")), lanes)),
                w.vload([0, 0], dtype=weights),
            )

    name = f"bnn_{dot.mnemonic}_{lanes}"
    s_tir.TensorIntrin.register(name, meaning, instruction)
    return name
