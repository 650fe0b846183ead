"""What a board server says about its board."""

from __future__ import annotations

import msgspec


class BoardFacts(msgspec.Struct, frozen=True):
    """Facts; empty where the board, or a server that is not ours, does not tell.

    Parameters
    ----------
    machine, kernel
        As ``uname`` says them.
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
    emulated: str = ""
    asks_secret: bool = False
