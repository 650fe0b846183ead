"""The files through which ``board/run_model.c`` takes inputs and gives outputs; the format is described there."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_MAGIC = b"BNNCALLS"
#: DLPack's type codes of NumPy's kinds.
_CODE_OF_KIND = {"i": 0, "u": 1, "f": 2, "b": 6}
_KIND_OF_CODE = {code: kind for kind, code in _CODE_OF_KIND.items()}


def encode(calls: Sequence[Sequence[Array]]) -> bytes:
    """Return the file that holds the tensors of each call.

    Raises
    ------
    ValueError
        If an array is neither integer, float nor bool.
    """
    file = io.BytesIO()
    file.write(_MAGIC + struct.pack("<I", len(calls)))
    for tensors in calls:
        file.write(struct.pack("<I", len(tensors)))
        for tensor in tensors:
            _write(file, tensor)
    return file.getvalue()


def decode(data: bytes) -> list[list[Array]]:
    """Return the tensors of each call.

    Raises
    ------
    ValueError
        If the data is no tensor file, or cut short.
    """
    file = io.BytesIO(data)
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("no tensor file")
    (calls,) = _read(file, "<I")
    return [[_tensor(file) for _ in range(_read(file, "<I")[0])] for _ in range(calls)]


def _write(file: io.BytesIO, tensor: Array) -> None:
    if tensor.dtype.kind not in _CODE_OF_KIND:
        raise ValueError(f"a tensor of dtype {tensor.dtype} cannot be written")
    code, bits = _CODE_OF_KIND[tensor.dtype.kind], tensor.dtype.itemsize * 8
    file.write(struct.pack(f"<BBH{tensor.ndim}q", code, bits, tensor.ndim, *tensor.shape))
    values = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes()
    file.write(struct.pack("<Q", len(values)) + values)


def _tensor(file: io.BytesIO) -> Array:
    code, bits, rank = _read(file, "<BBH")
    shape = _read(file, f"<{rank}q")
    (size,) = _read(file, "<Q")
    if code not in _KIND_OF_CODE:
        raise ValueError(f"a tensor of DLPack type code {code} has no NumPy counterpart")
    dtype = np.dtype(np.bool_ if _KIND_OF_CODE[code] == "b" else f"<{_KIND_OF_CODE[code]}{bits // 8}")
    return np.frombuffer(_bytes(file, size), dtype).reshape(shape).copy()


def _read(file: io.BytesIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, _bytes(file, struct.calcsize(layout)))


def _bytes(file: io.BytesIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) != count:
        raise ValueError("the tensor file is cut short")
    return found
