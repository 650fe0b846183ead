"""The instructions of AMX as statements of TIR: what is emitted is in the order in which these are called.

Registers are numbered in the instructions themselves: sums come first, then tiles of weights, then of activations.
"""

from __future__ import annotations

from tvm import tirx
from tvm.ir import Expr as Index
from tvm.tirx.script.builder import ir as T

from schedules.amx.blocks import BROAD, TALL
from schedules.amx.tiles import DEPTH, ROWS

#: LLVM's names start so.
PREFIX = "llvm.x86."
CONFIGURE = "ldtilecfg"
_BYTES_OF_A_SUM = 4
_PALETTE = 1
_WORDS = 8


def sums(tall: int, broad: int) -> int:
    """Return the register that sums a tile of pixels and one of channels."""
    return tall * BROAD + broad


def weights(broad: int) -> int:
    """Return the register of a tile of weights."""
    return TALL * BROAD + broad


def activations(tall: int) -> int:
    """Return the register of a tile of activations."""
    return TALL * BROAD + BROAD + tall


def configure(config: tirx.Buffer, height: int) -> None:
    """Tell the processor how large tiles are: ``height`` rows of sums and activations, all rows of weights.

    ``config`` is room for the description, eight uint64.
    """
    registers = TALL * BROAD + BROAD + TALL
    row_bytes = sum(DEPTH << (16 * (register % 4)) for register in range(4))
    of_weights = {weights(broad) for broad in range(BROAD)}
    rows = sum((ROWS if register in of_weights else height) << (8 * register) for register in range(registers))
    described = [_PALETTE, 0, row_bytes, row_bytes, 0, 0, rows, 0]
    for position in range(_WORDS):
        T.buffer_store(config, tirx.const(described[position], "uint64"), [position])
    _emit(CONFIGURE, T.address_of(config[0]))


def release() -> None:
    """Say that tiles are no longer needed: the system need not save them."""
    _emit("tilerelease")


def load(register: int, first: Index, stride: Index | int) -> None:
    """Load a tile whose rows are ``stride`` bytes apart; 0 loads one row many times."""
    _emit("tileloadd64", tirx.const(register, "int8"), T.address_of(first), _wide(stride))


def store(register: int, first: Index, stride: Index | int) -> None:
    """Store a tile to rows that are ``stride`` bytes apart."""
    _emit("tilestored64", tirx.const(register, "int8"), T.address_of(first), _wide(stride))


def multiply(tall: int, broad: int) -> None:
    """Add the products of a tile of activations, unsigned, and one of weights, signed, to their sums."""
    registers = (sums(tall, broad), activations(tall), weights(broad))
    _emit("tdpbusd", *(tirx.const(register, "int8") for register in registers))


def row_bytes_of_sums(stride: Index) -> Index:
    """Return the distance of two rows of sums in bytes, which is given in numbers."""
    return stride * _BYTES_OF_A_SUM


def _wide(value: Index | int) -> Index:
    return tirx.const(value, "int64") if isinstance(value, int) else value.astype("int64")


def _emit(name: str, *operands: Index) -> None:
    T.evaluate(T.call_llvm_intrin("void", PREFIX + name, *operands))
