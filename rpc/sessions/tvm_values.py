"""Values as TVM's RPC protocol writes them, and only those that a client sends or receives.

A sequence of values is an int32 count, and for each an int32 type and its content, all little-endian
(``src/runtime/rpc/minrpc/rpc_reference.h``, protocol 0.8.0). What comes from a device is read as data: nothing in it is
ever an address here, and whatever does not fit exactly is refused.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from rpc.tracking.channel import StrangerError

NONE, INT, BOOL, FLOAT, POINTER, DTYPE, DEVICE, DLTENSOR, TEXT, BYTES = range(10)
_SMALL = (11, 12)
STR, BYTES_OBJECT, FUNCTION, TENSOR, MODULE = 65, 66, 68, 70, 73
OBJECTS = 64
#: DLPack's device.
CPU = 1
_MOST_VALUES, _MOST_DIMENSIONS, _MOST_BYTES = 16, 16, 1 << 30
_KINDS = {0: "int", 1: "uint", 2: "float", 6: "bool"}
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}


@dataclasses.dataclass(frozen=True)
class Handle:
    """Something that lives on a device: ``kind`` is one of TVM's types."""

    kind: int
    number: int


@dataclasses.dataclass(frozen=True)
class RemoteTensor:
    """A tensor on a device: where it lies there, what it is like, and the object that owns it (0: a plain buffer)."""

    data: int
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    byte_offset: int = 0
    owner: int = 0

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class Device:
    """A processor, as DLPack numbers them."""

    kind: int = CPU
    number: int = 0


Value: TypeAlias = "bool | int | float | str | bytes | Handle | Device | RemoteTensor | None"


def encoded(values: Sequence[Value]) -> bytes:
    """Return a sequence as it is sent."""
    return struct.pack("<i", len(values)) + b"".join(map(_encoded, values))


def _encoded(value: Value) -> bytes:
    kind, content = _kind_and_content(value)
    return struct.pack("<i", kind) + content


def _kind_and_content(value: Value) -> tuple[int, bytes]:  # noqa: PLR0911
    match value:
        case None:
            return NONE, b""
        case bool() | int():
            return BOOL if isinstance(value, bool) else INT, struct.pack("<q", value)
        case float():
            return FLOAT, struct.pack("<d", value)
        case str():
            return TEXT, _sized(value.encode())
        case bytes():
            return BYTES, _sized(value)
        case Handle():
            return value.kind, struct.pack("<Q", value.number)
        case Device():
            return DEVICE, struct.pack("<ii", value.kind, value.number)
        case RemoteTensor():
            return DLTENSOR, encoded_tensor(value)


def _sized(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def encoded_tensor(tensor: RemoteTensor) -> bytes:
    """Return where a tensor is and what it is like."""
    kind, rank = tensor.dtype, len(tensor.shape)
    head = struct.pack("<QiiiBBH", tensor.data, CPU, 0, rank, _CODES[kind.kind], 8 * kind.itemsize, 1)
    return head + struct.pack(f"<{rank}qQ", *tensor.shape, tensor.byte_offset)


class Reader:
    """Reads values from the content of a packet, and refuses what is none."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def values(self) -> list[Value]:
        """Return the sequence that is all of the packet.

        Raises
        ------
        StrangerError
            If it is none.
        """
        (count,) = self._take("<i")
        if not 0 <= count <= _MOST_VALUES:
            raise StrangerError(f"it sent {count} values")
        found = [self._value() for _ in range(count)]
        if self._at != len(self._data):
            raise StrangerError("it sent an answer with more behind it")
        return found

    def _take(self, layout: str) -> tuple[int, ...]:
        size = struct.calcsize(layout)
        return struct.unpack(layout, self._bytes(size))

    def _bytes(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise StrangerError("it sent an answer that is cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def _value(self) -> Value:
        (kind,) = self._take("<i")
        if kind == NONE:
            return None
        if kind in (INT, BOOL):
            (number,) = self._take("<q")
            return bool(number) if kind == BOOL else number
        if kind == FLOAT:
            return float(self._take("<d")[0])
        if kind == POINTER:
            return Handle(POINTER, *self._take("<Q"))
        if kind == DLTENSOR:
            return self._tensor()
        if kind in (STR, BYTES_OBJECT, *_SMALL):
            (kind,) = self._take("<I")
        if kind in (TEXT, STR, BYTES, BYTES_OBJECT):
            content = self._bytes(*self._take("<Q"))
            return content.decode(errors="replace") if kind in (TEXT, STR) else content
        raise StrangerError(f"it sent a value of type {kind}, which no device returns")

    def _tensor(self) -> RemoteTensor:
        data, _, _, rank, code, bits, lanes = self._take("<QiiiBBH")
        if not 0 <= rank <= _MOST_DIMENSIONS:
            raise StrangerError(f"it sent a tensor of {rank} dimensions")
        *shape, offset = self._take(f"<{rank}qQ")
        tensor = RemoteTensor(data, dtype_of(code, bits, lanes), tuple(shape), offset)
        if min(shape, default=0) < 0 or tensor.size > _MOST_BYTES:
            raise StrangerError(f"it sent a tensor of shape {tuple(shape)}")
        return tensor


def dtype_of(code: int, bits: int, lanes: int = 1) -> np.dtype[np.generic]:
    """Return the dtype that DLPack's code, bits and lanes name; a StrangerError if NumPy has none."""
    kind = _KINDS.get(code)
    try:
        if kind is None or lanes != 1:
            raise TypeError
        return np.dtype("bool" if kind == "bool" else f"{kind}{bits}")
    except TypeError:
        raise StrangerError(f"it sent a tensor of a dtype that is not read here ({code}, {bits}, {lanes})") from None
