"""Comparison and packing: a tensor in, one bit a channel out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from schedules.kernels.binary.bits import words_for
from schedules.kernels.convolution import class_between

#: Every block of this module starts so: schedules leave what it reads where it can be read as vectors.
PACK = "pack"
#: The block that makes each word of vector comparisons; schedules attach it to the tile whose values it packs.
PACK_WORDS = "pack_words"
#: Of the smallest vector whose mask is an integer.
_LEAST_LANES = 8

#: Size and clipped ends of the vertical and the horizontal axis.
BorderAxes: TypeAlias = tuple[tuple[int, int, int], tuple[int, int, int]]


def channels_a_word(depth: int, word_bits: int) -> int | None:
    """Return how many channels every word holds, or None if the words of a group differ or are ragged."""
    if depth % word_bits == 0:
        return word_bits
    return depth if depth < word_bits and depth % 8 == 0 else None


def bitpack(
    shape: tuple[int, ...], dtype: str, word_bits: int, groups: int = 1, axes: BorderAxes | None = None
) -> tirx.PrimFunc:
    """Return the function ``(x, tau, flip, words)`` that writes the bits ``(x >= tau) xor flip``.

    Parameters
    ----------
    shape, dtype
        Of ``x``: any number of axes, channels last.
    word_bits
        Width of the words written.
    groups
        Divides the channels; each group starts a new word.
    axes
        Vertical and horizontal axis of an NHWC ``x`` whose border classes have limits of their own: each axis' size
        and its clipped ends, -1 where they meet (see :attr:`schedules.kernels.window.Axis.clipped`).

    Returns
    -------
    A function of ``x``, ``tau`` (dtype of ``x``; ``(channels,)``, or with ``axes`` ``(row classes, column classes,
    channels)``), ``flip`` (``(words,)``: the bit of a channel inverts its comparison) and ``words`` (``(..., words)``).
    """
    span = channels_a_word(shape[-1] // groups, word_bits)
    if span is None:
        return _ragged(shape, dtype, word_bits, groups, axes)
    return _by_vectors(shape, dtype, word_bits, span, axes)


def wide(shape: Sequence[int]) -> list[Index]:
    """Return a shape in 64-bit extents, as Relax has them: fusion compares buffers to the letter."""
    return [tirx.IntImm("int64", extent) for extent in shape]


def _limits_shape(channels: int, axes: BorderAxes | None) -> tuple[int, ...]:
    """Return the shape of ``tau``."""
    return (channels,) if axes is None else (*(_classes(*axis) for axis in axes), channels)


def _classes(size: int, lead: int, trail: int) -> int:
    return size if lead < 0 else lead + trail + 1


def class_of(axes: BorderAxes | None, outer: Sequence[Index]) -> list[Index]:
    """Return the border classes of a position, by which its limits are found."""
    if axes is None:
        return []
    return [
        position if lead < 0 else class_between(lead, size - 1 - trail, position)
        for (size, lead, trail), position in zip(axes, outer[1:], strict=True)
    ]


def _by_vectors(
    shape: tuple[int, ...], dtype: str, word_bits: int, span: int, axes: BorderAxes | None
) -> tirx.PrimFunc:
    """Vector comparisons, whose masks *are* the bits (``vpcmp`` + ``kmov``; ``fcmge`` + narrowing)."""
    *rows, channels = shape
    with IRBuilder() as builder, _packing_function(shape, dtype, word_bits, channels // span, axes) as buffers:
        x, tau, flip, words = buffers
        with T.grid(*wide((*rows, channels // span))) as loops, T.sblock(PACK_WORDS):
            *outer, w = _spatial(loops)
            first = w * span
            kind, here = class_of(axes, outer), slice(first, first + span)
            T.reads(x[(*outer, here)], tau[(*kind, here)], flip[w])
            T.writes(words[(*outer, w)])
            bits = _word(x, tau, outer, kind, first, span, word_bits)
            T.buffer_store(words, bits ^ flip[w], [*outer, w])
    return builder.get()


def _ragged(shape: tuple[int, ...], dtype: str, word_bits: int, groups: int, axes: BorderAxes | None) -> tirx.PrimFunc:
    """All words of a position at once, each with as many vectors as its channels fill."""
    *rows, channels = shape
    depth = channels // groups
    words_a_group = words_for(depth, word_bits)
    with IRBuilder() as builder, _packing_function(shape, dtype, word_bits, groups * words_a_group, axes) as buffers:
        x, tau, flip, words = buffers
        with T.grid(*wide((*rows, 1))) as loops, T.sblock(f"{PACK}_ragged"):
            *outer, _ = _spatial(loops)
            kind = class_of(axes, outer)
            every = slice(0, channels)
            T.reads(x[(*outer, every)], tau[(*kind, every)], flip[slice(0, groups * words_a_group)])
            T.writes(words[(*outer, slice(0, groups * words_a_group))])
            for group, number in itertools.product(range(groups), range(words_a_group)):
                w, start = group * words_a_group + number, number * word_bits
                span = min(word_bits, depth - start)
                bits = _word(x, tau, outer, kind, group * depth + start, span, word_bits)
                T.buffer_store(words, bits ^ flip[w], [*outer, w])
    return builder.get()


def _spatial(loops: Sequence[Index] | tirx.Var) -> list[Index]:
    """Return a block's axes for the loops around it; TVM hands out a lone loop, or axis, as it is, not as a list."""
    if isinstance(loops, tirx.Var):
        return [T.axis.remap("S", [loops])]
    return list(T.axis.remap("S" * len(loops), list(loops)))


@contextmanager
def _packing_function(
    shape: tuple[int, ...], dtype: str, word_bits: int, count: int, axes: BorderAxes | None
) -> Iterator[tuple[tirx.Buffer, ...]]:
    """Open a function in the builder; lend its buffers ``x``, ``tau``, ``flip`` and ``words``."""
    *rows, channels = shape
    word = f"uint{word_bits}"
    with T.prim_func(is_private=True, s_tir=True):
        T.func_name("bitpack")
        T.func_attr({"tirx.noalias": True})
        yield (
            T.arg("x", T.buffer(wide(shape), dtype)),
            T.arg("tau", T.buffer(wide(_limits_shape(channels, axes)), dtype)),
            T.arg("flip", T.buffer(wide((count,)), word)),
            T.arg("words", T.buffer(wide((*rows, count)), word)),
        )


def _word(
    x: tirx.Buffer,
    tau: tirx.Buffer,
    outer: Sequence[Index],
    kind: Sequence[Index],
    first: Index | int,
    span: int,
    word_bits: int,
) -> Index:
    """Return the bits of ``span`` channels from ``first`` on: by vectors, and what fills none one by one."""
    word = f"uint{word_bits}"
    bits = T.Cast(word, tirx.const(0, word))
    in_vectors = span - span % _LEAST_LANES
    for offset, lanes in vectors_in(in_vectors):
        at = T.ramp(first + offset, 1, lanes)
        mask = T.reinterpret(f"uint{lanes}", T.Cast(f"uint1x{lanes}", x[(*outer, at)] >= tau[(*kind, at)]))
        bits = bits | (T.Cast(word, mask) << tirx.const(offset, word))
    for offset in range(in_vectors, span):
        is_on = x[(*outer, first + offset)] >= tau[(*kind, first + offset)]
        bits = bits | (T.Cast(word, is_on) << tirx.const(offset, word))
    return bits


def vectors_in(span: int) -> list[tuple[int, int]]:
    """Split a number of channels into (offset, lanes) with lanes 64, 32, 16 or 8: integers whose bits are the lanes."""
    found, offset = [], 0
    while offset < span:
        lanes = next(lanes for lanes in (64, 32, 16, _LEAST_LANES) if lanes <= span - offset)
        found.append((offset, lanes))
        offset += lanes
    return found
