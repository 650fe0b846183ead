"""The instructions of :mod:`schedules.machines.dot` as tensor intrinsics: what each means, and how it is called."""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

from tvm import s_tir
from tvm.script import tirx as T

from schedules.machines.dot import Dot

#: What it means and how it is called, both PrimFuncs.
_Pair: TypeAlias = tuple[Any, Any]


@functools.cache
def tensor_intrinsic(dot: Dot) -> str:
    """Register the instruction for ``Schedule.tensorize`` and return its name."""
    name = f"bnn_{dot.mnemonic}_{dot.lanes}"
    s_tir.TensorIntrin.register(name, *(_of_bfloat16(dot) if dot.is_bf16 else _of_integers(dot)))
    return name


def _of_integers(dot: Dot) -> _Pair:
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

    return meaning, instruction


def _of_bfloat16(dot: Dot) -> _Pair:
    lanes, group = dot.lanes, dot.group
    some, every, sums, function = f"uint16x{group}", f"uint16x{group * lanes}", f"float32x{lanes}", dot.intrinsic

    @T.prim_func(s_tir=True, private=True)  # type: ignore[untyped-decorator]
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        x = T.match_buffer(a, (group,), "uint16", offset_factor=1)
        w = T.match_buffer(b, (lanes, group), "uint16", offset_factor=1)
        total = T.match_buffer(c, (lanes,), "float32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], x[0:group], w[0:lanes, 0:group])
            T.writes(total[0:lanes])
            for i in T.serial(0, lanes):
                for k in T.serial(0, group):
                    with T.sblock("update"):
                        lane, number = T.axis.remap("SR", [i, k])
                        total[lane] = total[lane] + T.reinterpret(
                            "float32", T.shift_left(T.cast(x[number], "uint32"), T.uint32(16))
                        ) * T.reinterpret("float32", T.shift_left(T.cast(w[lane, number], "uint32"), T.uint32(16)))

    @T.prim_func(s_tir=True, private=True)  # type: ignore[untyped-decorator]
    def instruction(a: T.handle, b: T.handle, c: T.handle) -> None:
        x = T.match_buffer(a, (group,), "uint16", offset_factor=1)
        w = T.match_buffer(b, (lanes, group), "uint16", offset_factor=1)
        total = T.match_buffer(c, (lanes,), "float32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], x[0:group], w[0:lanes, 0:group])
            T.writes(total[0:lanes])
            total[T.ramp(T.int32(0), 1, lanes)] = T.call_pure_extern(
                sums,
                function,
                total.vload([0], dtype=sums),
                T.reinterpret(every, T.broadcast(T.reinterpret("int32", x.vload([0], some)), lanes)),
                w.vload([0, 0], dtype=every),
            )

    return meaning, instruction
