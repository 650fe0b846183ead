"""Comparison and packing: a tensor in, one bit a channel out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tvm import te, tirx
from tvm.ir import Expr as Index
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from schedules.bits import words_for
from schedules.convolution import class_between

#: Every block of this module starts so: schedules leave what it reads where it can be read as vectors.
PACK = "pack"
#: The block that makes each word of vector comparisons; schedules attach it to the tile whose values it packs.
PACK_WORDS = "pack_words"

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
        and its clipped ends, -1 where they meet (see :attr:`schedules.window.Axis.clipped`).

    Returns
    -------
    A function of ``x``, ``tau`` (dtype of ``x``; ``(channels,)``, or with ``axes`` ``(row classes, column classes,
    channels)``), ``flip`` (``(words,)``: the bit of a channel inverts its comparison) and ``words`` (``(..., words)``).
    """
    span = channels_a_word(shape[-1] // groups, word_bits)
    if span is None:
        return _bit_by_bit(shape, dtype, word_bits, groups, axes)
    return _by_vectors(shape, dtype, word_bits, span, axes)


def wide(shape: Sequence[int]) -> list[Index]:
    """Return a shape in 64-bit extents, as Relax has them: fusion compares buffers to the letter."""
    return [tirx.IntImm("int64", extent) for extent in shape]


def _limits_shape(channels: int, axes: BorderAxes | None) -> tuple[int, ...]:
    """Return the shape of ``tau``."""
    return (channels,) if axes is None else (*(_classes(*axis) for axis in axes), channels)


def _classes(size: int, lead: int, trail: int) -> int:
    return size if lead < 0 else lead + trail + 1


def _class_of(axes: BorderAxes | None, outer: Sequence[Index]) -> list[Index]:
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
    count, word = channels // span, f"uint{word_bits}"
    with IRBuilder() as builder, T.prim_func(is_private=True, s_tir=True):
        T.func_name("bitpack")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(wide(shape), dtype))
        tau = T.arg("tau", T.buffer(wide(_limits_shape(channels, axes)), dtype))
        flip = T.arg("flip", T.buffer(wide((count,)), word))
        words = T.arg("words", T.buffer(wide((*rows, count)), word))
        with T.grid(*wide((*rows, count))) as loops, T.sblock(PACK_WORDS):
            *outer, w = T.axis.remap("S" * len(loops), list(loops))
            first = w * span
            kind, here = _class_of(axes, outer), slice(first, first + span)
            T.reads(x[(*outer, here)], tau[(*kind, here)], flip[w])
            T.writes(words[(*outer, w)])
            bits = T.Cast(word, tirx.const(0, word))
            for offset, lanes in vectors_in(span):
                at = T.ramp(first + offset, 1, lanes)
                mask = T.reinterpret(f"uint{lanes}", T.Cast(f"uint1x{lanes}", x[(*outer, at)] >= tau[(*kind, at)]))
                bits = bits | (T.Cast(word, mask) << tirx.const(offset, word))
            T.buffer_store(words, bits ^ flip[w], [*outer, w])
    return builder.get()


def vectors_in(span: int) -> list[tuple[int, int]]:
    """Split a number of channels into (offset, lanes) with lanes 64, 32, 16 or 8: integers whose bits are the lanes."""
    found, offset = [], 0
    while offset < span:
        lanes = next(lanes for lanes in (64, 32, 16, 8) if lanes <= span - offset)
        found.append((offset, lanes))
        offset += lanes
    return found


def _bit_by_bit(
    shape: tuple[int, ...], dtype: str, word_bits: int, groups: int, axes: BorderAxes | None
) -> tirx.PrimFunc:
    """One bit after the other, for depths of odd sizes."""
    depth = shape[-1] // groups
    words_a_group = words_for(depth, word_bits)
    word = f"uint{word_bits}"
    x = te.placeholder(wide(shape), dtype, name="x")
    tau = te.placeholder(wide(_limits_shape(shape[-1], axes)), dtype, name="tau")
    flip = te.placeholder(wide((groups * words_a_group,)), word, name="flip")
    bit = te.reduce_axis((0, word_bits), "bit")

    def one_bit(*index: Index) -> Index:
        *outer, w = index
        within = tirx.floormod(w, words_a_group) * word_bits + bit
        channel = tirx.floordiv(w, words_a_group) * depth + within
        limit = tau[(*_class_of(axes, outer), channel)]
        value = tirx.if_then_else(within < depth, x[(*outer, channel)] >= limit, tirx.const(0, "bool"))
        return te.sum(value.astype(word) << bit.astype(word), axis=bit)

    bits = te.compute(wide((*shape[:-1], groups * words_a_group)), one_bit, name=f"{PACK}_bits")
    words = te.compute(bits.shape, lambda *index: bits[index] ^ flip[index[-1]], name=f"{PACK}_flip")
    return te.create_prim_func([x, tau, flip, words]).without_attr("global_symbol").with_attr("tirx.noalias", True)
