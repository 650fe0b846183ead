"""What a board server says about its board."""

from __future__ import annotations

import msgspec

from rpc.formats.printing import printable

#: Characters; a processor's features take two thousand.
_MOST_FACT = 4096


class BoardFacts(msgspec.Struct, frozen=True):
    """Facts; empty where the board, or a server that is not ours, does not tell.

    Parameters
    ----------
    machine, kernel
        As ``uname`` says them; ``machine`` is armv7l under a 32-bit system, whatever its kernel is.
    model
        The board's name, else its processor's.
    features
        Instruction sets as the system names them, with spaces between.
    cores
        That the server may use.
    libc
        Version of glibc.
    tvm_version, ffi_version
        Of the runtime there.
    bnn_format
        Of the deployed models that run there, by libbnn; 0 where TVM's runtime runs artifacts.
    emulated
        The processor that an emulator plays; empty on a board that is one.
    asks_secret
        Whether it serves only who knows its secret.
    """

    machine: str = ""
    model: str = ""
    features: str = ""
    cores: int = 0
    kernel: str = ""
    libc: str = ""
    tvm_version: str = ""
    ffi_version: str = ""
    bnn_format: int = 0
    emulated: str = ""
    asks_secret: bool = False


def cleaned(facts: BoardFacts) -> BoardFacts:
    """Return facts whose texts may be printed."""
    texts = {
        name: printable(value, _MOST_FACT)
        for name, value in msgspec.structs.asdict(facts).items()
        if isinstance(value, str)
    }
    return msgspec.structs.replace(facts, **texts)
