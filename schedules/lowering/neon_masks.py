"""Make several words of vector comparisons at once on 64-bit ARM, which has no instruction for masks.

LLVM keeps of each lane the bit that it stands for and adds them up across the vector (``and``, ``ext``, ``zip1``,
``addv``), moves the word to a general register, inverts it and stores it: seven instructions a word. Pairwise additions
(``addp``) take two vectors at a time: three rounds of them leave up to eight words side by side, which are inverted and
stored together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr as Index
from tvm.tirx.script.builder import ir as T

from schedules.kernels.variables import replaced

_WORD = "uint16"
_MASK = "uint1x16"
_BYTES = "uint8x16"
_ADDP = "llvm.aarch64.neon.addp.v16i8"
#: Additions of neighbours that make one byte of the bits of eight lanes.
_ROUNDS = 3
#: Bit ``lane % 8`` of each of eight bytes.
_BITS = 0x8040201008040201
#: How many words are stored at once, most first.
_AT_ONCE = (8, 4, 2)
#: More than so many times the most stay a loop.
_UNROLLED = 2


@dataclasses.dataclass(frozen=True)
class _Packing:
    """A loop that writes neighbouring words: ``words[at + step] = mask(condition) ^ flips[flip + step]``.

    Parameters
    ----------
    step, count
        The loop's variable, from 0, and its end.
    lets
        What the loop computes beforehand.
    words, flips
        Buffers of 16-bit words.
    at, flip
        Where the loop's first word is, in each.
    condition
        Sixteen comparisons.
    """

    step: tvm.ir.Expr
    count: int
    lets: Sequence[tirx.Bind]
    words: tirx.Buffer
    flips: tirx.Buffer
    at: Index
    flip: Index
    condition: Index

    def in_step(self, value: Index, step: Index | int) -> Index:
        """Return what a value is in a step."""
        for let in reversed(self.lets):
            value = replaced(value, {let.var: let.value})
        return replaced(value, {self.step: tirx.IntImm(self.step.ty, step) if isinstance(step, int) else step})


def _packing(loop: tirx.For) -> _Packing | None:
    """Return what a loop packs, if that is all it does, a word a step."""
    *lets, store = loop.body.seq if isinstance(loop.body, tirx.SeqStmt) else [loop.body]
    if not (isinstance(store, tirx.BufferStore) and all(isinstance(let, tirx.Bind) for let in lets)):
        return None
    value = store.value
    if str(store.buffer.dtype) != _WORD or not isinstance(value, tirx.BitwiseXor):
        return None
    condition, flip = _condition(value.a), value.b
    counted = isinstance(loop.extent, tirx.IntImm) and _is_zero(loop.min) and loop.kind == tirx.ForKind.SERIAL
    if condition is None or not counted or not isinstance(flip, tvm.ir.TensorLoad):
        return None
    (at,), (flipped,) = store.indices, flip.indices  # buffers are flat by now
    found = _Packing(loop.loop_var, int(loop.extent), lets, store.buffer, flip.source, at, flipped, condition)
    return found if _is_consecutive(found, at) and _is_consecutive(found, flipped) else None


def _condition(bits: Index) -> Index | None:
    """Return the comparisons of ``0 | (mask << 0)``, a word that one vector of them fills."""
    shifted = bits.b if isinstance(bits, tirx.BitwiseOr) and _is_zero(bits.a) else None
    mask = shifted.a if isinstance(shifted, tirx.LShift) and _is_zero(shifted.b) else None
    if not (isinstance(mask, tvm.ir.Call) and str(mask.op.name) == "tirx.reinterpret"):
        return None
    (cast,) = mask.args
    return cast.value if isinstance(cast, tirx.Cast) and str(cast.ty.dtype) == _MASK else None


def _is_zero(value: Index) -> bool:
    return isinstance(value, tirx.IntImm) and int(value) == 0


def _is_consecutive(packing: _Packing, index: Index) -> bool:
    """Tell whether an index is one more in each step."""
    difference = tvm.sym.Analyzer().simplify(packing.in_step(index, 1) - packing.in_step(index, 0))
    return isinstance(difference, tirx.IntImm) and int(difference) == 1


def _gathered(loop: tirx.For) -> tirx.Stmt:
    packing = _packing(loop)
    if packing is None:
        return loop
    stores: list[tirx.Stmt] = []
    done, most = 0, _AT_ONCE[0]
    if packing.count > _UNROLLED * most:
        stores.append(_loop_of(packing, packing.count // most, most))
        done = packing.count // most * most
    for most in _AT_ONCE:
        while packing.count - done >= most:
            stores.append(_store(packing, done, most))
            done += most
    if not stores:
        return loop
    if done < packing.count:
        stores.append(_in_step(loop, packing, done))
    return tirx.SeqStmt(stores) if len(stores) > 1 else stores[0]


def _loop_of(packing: _Packing, times: int, count: int) -> tirx.Stmt:
    """Return a loop that writes so many words in each of its steps."""
    step = tirx.Var("some_words", packing.step.ty)
    zero, end = (tirx.IntImm(packing.step.ty, value) for value in (0, times))
    return tirx.For(step, zero, end, tirx.ForKind.SERIAL, _store(packing, step * count, count))


def _store(packing: _Packing, start: Index | int, count: int) -> tirx.Stmt:
    """Return what makes and writes so many words from a step on."""
    bits = T.reinterpret(_BYTES, T.broadcast(tirx.const(_BITS, "uint64"), 2))
    nothing = T.broadcast(tirx.const(0, "uint8"), 16)
    sums = [tirx.Select(packing.in_step(packing.condition, start + step), bits, nothing) for step in range(count)]
    for _ in range(_ROUNDS):
        pairs = [(sums[0], sums[0])] if len(sums) == 1 else list(zip(sums[::2], sums[1::2], strict=True))
        sums = [tirx.call_llvm_pure_intrin(_BYTES, _ADDP, *pair) for pair in pairs]
    (made,) = sums
    number, lanes = f"uint{16 * count}", T.ramp(packing.in_step(packing.flip, start), 1, count)
    words = f"{_WORD}x{count}"
    if count == _AT_ONCE[0]:
        value = T.reinterpret(words, made) ^ packing.flips[lanes]
    else:
        # What a general register holds: narrower vectors LLVM would widen.
        whole = T.reinterpret(f"{number}x{8 // count}", made)
        first = tirx.Shuffle([whole], [tirx.IntImm("int32", 0)])
        value = T.reinterpret(words, first ^ T.reinterpret(number, packing.flips[lanes]))
    return tirx.BufferStore(packing.words, value, [T.ramp(packing.in_step(packing.at, start), 1, count)])


def _in_step(loop: tirx.For, packing: _Packing, step: int) -> tirx.Stmt:
    """Return what the loop does in one step."""
    store = loop.body.seq[-1] if isinstance(loop.body, tirx.SeqStmt) else loop.body
    return tirx.BufferStore(packing.words, packing.in_step(store.value, step), [packing.in_step(packing.at, step)])


@tirx.transform.prim_func_pass(opt_level=0, name="NeonMasks")  # type: ignore[untyped-decorator]
def neon_masks(function: tirx.PrimFunc, _module: tvm.IRModule, _context: object) -> tirx.PrimFunc:
    """Pack words together in functions for 64-bit ARM."""
    target = function.attrs.get("target")
    if target is None or not str(dict(target.export()).get("mtriple", "")).startswith("aarch64"):
        return function
    return tvm_ffi.structural_map(function, (tirx.For, _gathered))
