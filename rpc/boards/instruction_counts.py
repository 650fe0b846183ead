"""Count the instructions that an artifact's own code executes in a call, under QEMU's user emulation.

Emulated times say nothing about a board, but the instructions that it would execute are the same.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rpc.boards import emulation
from rpc.boards.runtime_libraries import cache_folder, cached
from rpc.formats.tensor_file import Array
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.link import Toolchain, link_triple, linker

_SOURCE = Path(__file__).parent.parent / "board" / "count_instructions.c"
_PLUGIN = "count_instructions.so"
#: Bytes of an aarch64 instruction.
_INSTRUCTION = 4
#: Shorter blocks occur everywhere and say nothing about where a library lies.
_TELLING_BYTES = 8 * _INSTRUCTION
#: What loading and the first call do cancels out between runs of so many calls.
_FEW_CALLS, _MANY_CALLS = 1, 3


class Block(NamedTuple):
    """Code that was executed from its first instruction to its last."""

    address: int
    executions: int
    code: bytes


def unavailable(machine: str) -> str | None:
    """Return None if instructions can be counted here, else one line that says what is missing and how to get it."""
    if machine == host.machine() or emulation.unavailable(machine) is not None or not _takes_plugins(machine):
        return (
            f"instructions for {machine} are counted by a plugin of a foreign qemu-{machine}:"
            " apt-get install qemu-user libstdc++6-arm64-cross (qemu-user-static takes no plugins)"
        )
    return None


def qemu_version(machine: str) -> str:
    """Return the emulator's version, ``7.2.22``."""
    said = subprocess.run([*emulation.emulator(machine), "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split("version ", 1)[1].split(maxsplit=1)[0]


def count(
    library: Path, machine: str, cpu: str | None, inputs: Sequence[Array], toolchain: Toolchain = "zig"
) -> tuple[list[Array], Counter[int]]:
    """Run a library and count what a call of it executes inside the library, TVM's runtime and libc left out.

    Parameters
    ----------
    library, machine, cpu
        As for :func:`rpc.boards.emulation.run`.
    inputs
        Of the call.
    toolchain
        Compiles the plugin, once.

    Returns
    -------
    The call's outputs, and how often each instruction, as a 32-bit number, is executed.

    Raises
    ------
    UserError
        If the emulator or its plugins are missing, or the run fails.
    """
    missing = unavailable(machine)
    if missing is not None:
        raise UserError(missing)
    plugin, content = _plugin(toolchain), library.read_bytes()
    outputs: list[list[Array]] = []

    def run(calls: int) -> Counter[int]:
        nonlocal outputs
        with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
            counts = Path(folder) / "counts"
            options = ["-plugin", f"{plugin},out={counts}"]
            outputs = emulation.run(library, machine, cpu, [inputs] * calls, options)
            return executed_inside(parse(counts.read_text(encoding="ascii")), content)

    few, many = run(_FEW_CALLS), run(_MANY_CALLS)
    calls = _MANY_CALLS - _FEW_CALLS
    return outputs[0], Counter({code: (many[code] - few[code]) // calls for code in many if many[code] > few[code]})


def parse(text: str) -> list[Block]:
    """Return the blocks of a file that ``board/count_instructions.c`` wrote."""
    fields = (line.split() for line in text.splitlines())
    return [Block(int(address, 16), int(executions), bytes.fromhex(code)) for address, executions, code in fields]


def executed_inside(blocks: Iterable[Block], library: bytes) -> Counter[int]:
    """Return how often each instruction of a library's file was executed, blocks of other code left out.

    Where the library was loaded is found by its content: its code, which needs no relocation, lies in memory as it does
    in the file.
    """
    blocks = list(blocks)
    bases: Counter[int] = Counter()
    for block in blocks:
        if len(block.code) >= _TELLING_BYTES and library.count(block.code) == 1:
            bases[block.address - library.index(block.code)] += block.executions * len(block.code)
    found: Counter[int] = Counter()
    if not bases:
        return found
    ((base, _),) = bases.most_common(1)
    for block in blocks:
        offset = block.address - base
        if offset >= 0 and library[offset : offset + len(block.code)] == block.code:
            for at in range(0, len(block.code), _INSTRUCTION):
                found[int.from_bytes(block.code[at : at + _INSTRUCTION], "little")] += block.executions
    return found


def _takes_plugins(machine: str) -> bool:
    said = subprocess.run([*emulation.emulator(machine), "--help"], capture_output=True, text=True, check=False)
    return "-plugin" in said.stdout


def _plugin(toolchain: Toolchain) -> Path:
    """Return the plugin, a shared library for this machine."""
    key = hashlib.sha256(_SOURCE.read_bytes() + toolchain.encode()).hexdigest()[:16]

    def build(folder: Path) -> None:
        options = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
        linker(link_triple(host.machine()), toolchain)(str(folder / _PLUGIN), [str(_SOURCE)], options)

    return cached(cache_folder() / "plugin" / f"{host.machine()}-{key}", build) / _PLUGIN
