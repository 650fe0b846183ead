"""The instructions of :mod:`schedules.machines.dot` as tensor intrinsics: what each means, and how it is called."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeAlias

from tvm import s_tir
from tvm.script import tirx as T

from schedules.machines.dot import Dot

#: What it means and how it is called, both PrimFuncs.
_Pair: TypeAlias = tuple[Any, Any]
_Number: TypeAlias = Any  # a TIR expression


@functools.cache
def tensor_intrinsic(dot: Dot) -> str:
    """Register the instruction for ``Schedule.tensorize`` and return its name."""
    name = f"bnn_{dot.mnemonic}_{dot.lanes}"
    s_tir.TensorIntrin.register(name, *(_of_bfloat16(dot) if dot.is_bf16 else _of_integers(dot)))
    return name


@dataclasses.dataclass(frozen=True)
class _Form:
    """An instruction: the types of its operands and sums, one product of it, and how it is called.

    ``call`` gets the sums so far, ``group`` numbers repeated for every lane, and the weights, as vectors, and returns
    the new sums.
    """

    numbers: str
    weights: str
    sums: str
    product: Callable[[_Number, _Number], _Number]
    call: Callable[[_Number, _Number, _Number], _Number]


def _of_integers(dot: Dot) -> _Pair:
    # LLVM 22 takes vectors of bytes; before, vpdpbusd took them as int32.
    every, sums = f"{dot.activations}x{dot.group * dot.lanes}", f"int32x{dot.lanes}"

    def product(x: _Number, w: _Number) -> _Number:
        return T.cast(x, "int32") * T.cast(w, "int32")

    def call(total: _Number, x: _Number, w: _Number) -> _Number:
        if dot.accumulates:
            return T.call_llvm_pure_intrin(sums, dot.intrinsic, total, x, w)
        return total + T.call_llvm_pure_intrin(sums, dot.intrinsic, x, T.cast(w, every))

    return _functions(dot, _Form(dot.activations, "int8", "int32", product, call))


def _of_bfloat16(dot: Dot) -> _Pair:
    def widened(bits: _Number) -> _Number:
        return T.reinterpret("float32", T.shift_left(T.cast(bits, "uint32"), T.uint32(16)))

    def product(x: _Number, w: _Number) -> _Number:
        return widened(x) * widened(w)

    def call(total: _Number, x: _Number, w: _Number) -> _Number:
        return T.call_pure_extern(f"float32x{dot.lanes}", dot.intrinsic, total, x, w)

    return _functions(dot, _Form("uint16", "uint16", "float32", product, call))


def _functions(dot: Dot, form: _Form) -> _Pair:
    """Return what an instruction means, lane by lane, and its call."""
    lanes, group, product, call = dot.lanes, dot.group, form.product, form.call
    numbers, weights, sums = form.numbers, form.weights, form.sums
    some, every, all_weights = f"{numbers}x{group}", f"{numbers}x{group * lanes}", f"{weights}x{group * lanes}"
    all_sums = f"{sums}x{lanes}"

    @T.prim_func(s_tir=True, private=True)  # type: ignore[untyped-decorator]
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        x = T.match_buffer(a, (group,), numbers, offset_factor=1)
        w = T.match_buffer(b, (lanes, group), weights, offset_factor=1)
        total = T.match_buffer(c, (lanes,), sums, offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], x[0:group], w[0:lanes, 0:group])
            T.writes(total[0:lanes])
            for i in T.serial(0, lanes):
                for k in T.serial(0, group):
                    with T.sblock("update"):
                        lane, number = T.axis.remap("SR", [i, k])
                        total[lane] = total[lane] + product(x[number], w[lane, number])

    @T.prim_func(s_tir=True, private=True)  # type: ignore[untyped-decorator]
    def instruction(a: T.handle, b: T.handle, c: T.handle) -> None:
        x = T.match_buffer(a, (group,), numbers, offset_factor=1)
        w = T.match_buffer(b, (lanes, group), weights, offset_factor=1)
        total = T.match_buffer(c, (lanes,), sums, offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], x[0:group], w[0:lanes, 0:group])
            T.writes(total[0:lanes])
            total[T.ramp(T.int32(0), 1, lanes)] = call(
                total.vload([0], dtype=all_sums),
                T.reinterpret(every, T.broadcast(T.reinterpret("int32", x.vload([0], some)), lanes)),
                w.vload([0, 0], dtype=all_weights),
            )

    return meaning, instruction
