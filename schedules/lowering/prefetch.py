"""Fetch the weights of the next tile of channels while one is computed.

A network's weights are read once a call, tile by tile, and no second-level cache holds them from one call to the next:
the first pass over a tile would wait for its lines. The later passes over the tile before it have load slots to spare,
so each of them fetches its share of the next tile. Behind the last tile that is nobody's memory; a prefetch reads
nothing, and does not fault.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TypeAlias

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import Expr as Index

from schedules.kernels.binary import bconv2d
from schedules.kernels.floats import conv2d
from schedules.kernels.variables import replaced, variables_of
from schedules.machines.isa import AVX2, AVX512_VPOPCNTDQ, Isa

Loops: TypeAlias = tuple[tirx.For, ...]
#: Where it was measured. Other processors have other prefetchers, and ARM's instruction counts are of the loop alone.
FETCHING = (AVX512_VPOPCNTDQ, AVX2)
_SUMS = frozenset(f"{anchor}_update" for anchor in (bconv2d.ANCHOR, conv2d.ANCHOR))
_LINE_BYTES = 64
#: With fewer passes over a tile, fetching it would be a good part of each.
_FEWEST_PASSES = 4
#: LLVM's prefetch: of what is read, to the second-level cache, of data.
_HOW = (0, 2, 1)


@dataclasses.dataclass(frozen=True)
class Passes:
    """How a scheduled layer goes through its weights.

    Parameters
    ----------
    weights
        A parameter of the function, blocks of channels first.
    loops
        Those that decide which pass over which tile is made, outermost first; the last is the innermost around one.
    next_block
        Where the tile after the current one starts.
    blocks
        That a tile holds.
    position
        Which pass over the current tile this is.
    count
        Of passes over each tile.
    """

    weights: tirx.Buffer
    loops: Loops
    next_block: Index
    blocks: int
    position: Index
    count: int

    @property
    def lines(self) -> int:
        """Cache lines that each pass fetches."""
        numbers = self.blocks * math.prod(int(extent) for extent in self.weights.shape[1:])
        bits = int(self.weights.dtype.bits)
        return -(-numbers * bits // (8 * _LINE_BYTES * self.count))


def prefetch_weights(function: tirx.PrimFunc, isa: Isa) -> tirx.PrimFunc:
    """Return a scheduled layer with the fetches in it; itself where there is nothing to gain."""
    found = passes_of(function) if isa in FETCHING else None
    if found is None or found.count < _FEWEST_PASSES:
        return function
    fetches, around = _fetches(found), found.loops[-1].loop_var

    def insert(loop: tirx.For) -> tirx.For:
        if not loop.loop_var.same_as(around):
            return loop
        body = tirx.SeqStmt([fetches, loop.body])
        return tirx.For(loop.loop_var, loop.min, loop.extent, loop.kind, body, loop.thread_binding, loop.annotations)

    return tvm_ffi.structural_map(function, (tirx.For, insert))


def passes_of(function: tirx.PrimFunc) -> Passes | None:
    """Return how a scheduled layer goes through its weights; None if it is no layer, or has them in a copy."""
    for loops, realize in _blocks(function.body):
        if realize.block.name_hint in _SUMS:
            region = realize.block.reads[-1]
            if any(region.source.same_as(parameter) for parameter in function.params):
                return _passes(loops, realize, region)
    return None


def _passes(loops: Loops, realize: s_tir.SBlockRealize, region: tirx.BufferRegion) -> Passes | None:
    axes = realize.block.iter_vars
    bound = dict(zip((axis.var for axis in axes), realize.iter_values, strict=True))
    block = replaced(region.region[0].min, bound)
    reduced: set[tirx.Var] = set()
    for axis, value in zip(axes, realize.iter_values, strict=True):
        if axis.iter_type == tirx.IterVar.CommReduce:
            reduced |= variables_of(value)
    choosing = variables_of(block)
    first = next((index for index, loop in enumerate(loops) if loop.loop_var in choosing), None)
    if first is None:
        return None
    outer, *inside = loops[first:]
    start = replaced(block, {var: _int64(0) for var in choosing if not var.same_as(outer.loop_var)})
    period = _period(start, outer)
    if period is None:
        return None
    again = [loop for loop in inside if loop.loop_var not in choosing | reduced and _repeats(loop)]
    position, count = tirx.floormod(outer.loop_var, period), period
    for loop in again:
        position, count = position * loop.extent + loop.loop_var, count * int(loop.extent)
    blocks = _value(start, outer, period) - _value(start, outer, 0)
    return Passes(region.source, (outer, *again), start + blocks, blocks, position, count)


def _period(start: Index, outer: tirx.For) -> int | None:
    """Return after how many turns of the outer loop another tile begins; None if it is the only one."""
    return next(
        (turn for turn in range(1, int(outer.extent)) if _value(start, outer, turn) != _value(start, outer, 0)), None
    )


def _value(start: Index, outer: tirx.For, turn: int) -> int:
    return int(tvm.sym.Analyzer().simplify(replaced(start, {outer.loop_var: _int64(turn)})))


def _repeats(loop: tirx.For) -> bool:
    return loop.kind == tirx.ForKind.SERIAL and int(loop.extent) > 1


def _fetches(passes: Passes) -> tirx.For:
    """Return the loop that fetches one pass's share."""
    line = tirx.Var("line", "int64")
    numbers = _LINE_BYTES * 8 // passes.weights.dtype.bits
    inner = [0] * (len(passes.weights.shape) - 2)
    offset = (passes.position * passes.lines + line) * numbers
    address = tirx.address_of(tirx.BufferLoad(passes.weights, [passes.next_block, *inner, offset]))
    how = [tirx.const(option, "int32") for option in _HOW]
    fetch = tirx.Evaluate(tirx.call_llvm_intrin("void", "llvm.prefetch", address, *how))
    return tirx.For(line, 0, passes.lines, tirx.ForKind.SERIAL, fetch)


def _blocks(body: tirx.Stmt, loops: Loops = ()) -> Iterator[tuple[Loops, s_tir.SBlockRealize]]:
    """Yield every block with the loops around it, outermost first."""
    if isinstance(body, s_tir.SBlockRealize):
        yield loops, body
        yield from _blocks(body.block.body, loops)
    elif isinstance(body, tirx.For):
        yield from _blocks(body.body, (*loops, body))
    elif isinstance(body, tirx.SeqStmt):
        for part in body.seq:
            yield from _blocks(part, loops)


def _int64(value: int) -> Index:
    return tirx.const(value, "int64")
