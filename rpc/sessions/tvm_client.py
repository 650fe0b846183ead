"""Our own client's side of TVM's RPC protocol: it asks, and reads answers.

TVM's endpoint is the same on both sides: whoever a client connects to may send it calls, or answers with addresses in
them, and it follows both. This one has nothing to serve them with. A packet is a uint64 length, an int32 code, and
content; of the codes, a client takes three.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from rpc.formats.tensor_file import Array
from rpc.sessions.tvm_values import (
    BYTES,
    BYTES_OBJECT,
    CPU,
    DLTENSOR,
    FUNCTION,
    MODULE,
    OBJECTS,
    POINTER,
    STR,
    TENSOR,
    Device,
    Handle,
    Reader,
    RemoteTensor,
    Value,
    encoded,
    encoded_tensor,
)
from rpc.tracking.channel import Channel, StrangerError

_PROTOCOL = b"0.8.0"
_CODE_BYTES = 4
_SHUTDOWN, _INITIALIZE, _CALL, _RETURN, _EXCEPTION, _FETCH, _STORE, _FETCHED = 1, 2, 3, 4, 5, 6, 7, 8
_GET_FUNCTION, _FREE_HANDLE, _FREE_DATA, _ALLOCATE = 9, 10, 14, 17
#: Rounds of no measurable time after which TVM's evaluator gives up; its own default.
_ZERO_TIMES = 100
#: Bytes of an answer that is no tensor's content.
_MOST_ANSWER = 1 << 24


class RemoteError(RuntimeError):
    """What was asked for failed on the device; the text is the device's."""


class RemoteSession:
    """TVM's runtime on a device."""

    def __init__(self, channel: Channel) -> None:
        """Begin, on a connection whose other end has let us in."""
        self._channel = channel
        self._functions: dict[str, Handle | None] = {}
        version = struct.pack("<Q", len(_PROTOCOL)) + _PROTOCOL
        self._ask(_INITIALIZE, version + encoded([]))

    def close(self) -> None:
        """Say that we leave, and leave."""
        with contextlib.suppress(OSError):
            self._channel.send(_packet(_SHUTDOWN, b""))
        self._channel.close()

    def find(self, name: str) -> Handle | None:
        """Return a function of the device; None if there is none of that name."""
        if name not in self._functions:
            found = self._one(self._ask(_GET_FUNCTION, encoded([name])))
            self._functions[name] = found if isinstance(found, Handle) and found.number else None
        return self._functions[name]

    def call_named(self, name: str, *arguments: Value) -> Value:
        """Call a function of the device by its name.

        Raises
        ------
        RemoteError
            If there is none, or it fails.
        """
        function = self.find(name)
        if function is None:
            raise RemoteError(f"it has no function '{name}'")
        return self.call(function, *arguments)

    def call(self, function: Handle, *arguments: Value) -> Value:
        """Call a function of the device, and return what it returns."""
        return _returned(self._ask(_CALL, struct.pack("<Q", function.number) + encoded(arguments)))

    def method(self, module: Handle, name: str) -> Handle:
        """Return a function of a module that lives on the device; free it after use."""
        found = self.call_named("tvm.rpc.server.ModuleGetFunction", Handle(MODULE, module.number), name, True)
        if not isinstance(found, Handle) or found.kind != FUNCTION:
            raise RemoteError(f"the module has no function '{name}'")
        return found

    def call_method(self, module: Handle, name: str, *arguments: Value) -> Value:
        """Call a function of a module that lives on the device."""
        function = self.method(module, name)
        try:
            return self.call(function, *arguments)
        finally:
            self.free(function)

    def free(self, handle: Handle) -> None:
        """Let the device forget something that it returned."""
        self._ask(_FREE_HANDLE, encoded([Handle(POINTER, handle.number)]))

    def upload(self, array: Array) -> RemoteTensor:
        """Copy an array to the device; free it after use, with :meth:`free_tensor`."""
        whole = np.ascontiguousarray(array)
        shaped = RemoteTensor(0, whole.dtype, array.shape)
        found = self._one(self._ask(_ALLOCATE, encoded([shaped, None])))
        if not isinstance(found, Handle):
            raise StrangerError("it allocates what is no memory")
        tensor = RemoteTensor(found.number, whole.dtype, array.shape)
        self._ask(_STORE, encoded_tensor(tensor) + struct.pack("<Q", tensor.size) + whole.tobytes())
        return tensor

    def download(self, tensor: RemoteTensor) -> Array:
        """Copy a tensor from the device."""
        self._send(_FETCH, encoded_tensor(tensor) + struct.pack("<Q", tensor.size))
        content = self._answer(_FETCHED, max(tensor.size, _MOST_ANSWER))
        if len(content) != tensor.size:
            raise StrangerError(f"it sent {len(content)} bytes of a tensor of {tensor.size}")
        return np.frombuffer(content, tensor.dtype).reshape(tensor.shape)

    def free_tensor(self, tensor: RemoteTensor) -> None:
        """Let the device forget a tensor."""
        if tensor.owner:
            self.free(Handle(POINTER, tensor.owner))
        else:
            self._ask(_FREE_DATA, encoded([Device(), Handle(POINTER, tensor.data)]))

    @contextlib.contextmanager
    def tensors(self, arrays: Sequence[Array]) -> Iterator[list[RemoteTensor]]:
        """Copy arrays to the device for as long as the block lasts."""
        made = [self.upload(array) for array in arrays]
        yield made
        for tensor in made:
            self.free_tensor(tensor)

    def times(
        self, module: Handle, name: str, arguments: Sequence[Value], number: int, repeat: int, least_ms: int = 0
    ) -> list[float]:
        """Return the mean seconds of ``number`` calls of a module's function, ``repeat`` times, by TVM's evaluator.

        With ``least_ms``, the number grows until a round takes so long.
        """
        options = (number, repeat, least_ms, _ZERO_TIMES, 0, 1, 0, "")
        evaluator = self.call_named("runtime.RPCTimeEvaluator", module, name, CPU, 0, *options)
        if not isinstance(evaluator, Handle):
            raise StrangerError("its evaluator is no function")
        try:
            found = self.call(evaluator, *arguments)
        finally:
            self.free(evaluator)
        if not isinstance(found, bytes) or len(found) != 8 * repeat:
            raise StrangerError("its evaluator returns no times")
        return list(struct.unpack(f"<{repeat}d", found))

    def _ask(self, code: int, content: bytes) -> list[Value]:
        self._send(code, content)
        return Reader(self._answer(_RETURN, _MOST_ANSWER)).values()

    def _send(self, code: int, content: bytes) -> None:
        self._channel.send(_packet(code, content))

    def _answer(self, expected: int, most: int) -> bytes:
        """Return the content of the answer; nothing but an answer is ever taken."""
        length, code = struct.unpack("<Qi", self._channel.receive(12))
        if code not in (expected, _EXCEPTION):
            raise StrangerError(f"it sent what is no answer (packet {code}), as if we were to serve it")
        if not 0 <= length - _CODE_BYTES <= most:
            raise StrangerError(f"it sent an answer of {length} bytes")
        content = self._channel.receive(length - _CODE_BYTES)
        if code == _EXCEPTION:
            text = self._one(Reader(content).values())
            raise RemoteError(text if isinstance(text, str) else "no message")
        return content

    @staticmethod
    def _one(values: list[Value]) -> Value:
        if len(values) != 1:
            raise StrangerError(f"it sent {len(values)} values in place of one")
        return values[0]


def _packet(code: int, content: bytes) -> bytes:
    return struct.pack("<Qi", _CODE_BYTES + len(content), code) + content


def _returned(values: list[Value]) -> Value:
    """Return what a function returned: its type comes first, then the value, of tensors their owner too."""
    match values:
        case [int(kind), RemoteTensor() as tensor, Handle() as owner] if kind in (TENSOR, DLTENSOR):
            return RemoteTensor(tensor.data, tensor.dtype, tensor.shape, tensor.byte_offset, owner.number)
        case [int(kind), str() | bytes() as content] if kind < OBJECTS or kind in (STR, BYTES_OBJECT, BYTES):
            return content
        case [int(kind), Handle() as handle] if kind >= OBJECTS:
            return Handle(kind, handle.number)
        case [int(kind), None | bool() | int() | float() | Handle() as value] if kind < OBJECTS:
            return value
    raise StrangerError("it returned what is no function's result")
