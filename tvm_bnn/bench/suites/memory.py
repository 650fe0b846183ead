"""How much memory a network takes, in a process that does nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import nn

from tvm_bnn.bench.workloads import Array

_STATUS = Path("/proc/self/status")


class Memory(msgspec.Struct, frozen=True):
    """Peak of resident memory: of the whole process, and what loading and running the network added to its imports."""

    process_bytes: int
    network_bytes: int


def memory_facts(artifact: Path, twin: nn.Module, example: Array, folder: Path) -> dict[str, int]:
    """Return ``compiled_network_bytes``, ``torch_process_bytes`` and so on; nothing where the system tells nothing.

    Parameters
    ----------
    artifact
        The compiled network.
    twin
        What PyTorch runs.
    example
        Their input.
    folder
        For temporary files.
    """
    if not _STATUS.exists():
        return {}
    np.save(folder / "example.npy", example)
    torch.save(twin, folder / "twin.pt")
    found: dict[str, int] = {}
    for kind, file in (("compiled", artifact), ("torch", folder / "twin.pt")):
        memory = memory_of(kind, file, folder / "example.npy")
        found |= {f"{kind}_process_bytes": memory.process_bytes, f"{kind}_network_bytes": memory.network_bytes}
    return found


def memory_of(kind: str, file: Path, example: Path) -> Memory:
    """Return what a network takes in a process of its own.

    Parameters
    ----------
    kind
        ``compiled``: an artifact. ``torch``: a module that ``torch.save`` wrote.
    file
        The network.
    example
        Its input, as ``.npy``.

    Raises
    ------
    RuntimeError
        If the process fails.
    """
    command = [sys.executable, "-m", "tvm_bnn.bench.suites.memory_probe", kind, str(file), str(example)]
    # The runtime alone; the compiler would add 200 MB to the process.
    environment = {**os.environ, "TVM_USE_RUNTIME_LIB": "1"}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if finished.returncode:
        raise RuntimeError(f"measuring memory: {(finished.stderr.strip().splitlines() or ['no message'])[-1]}")
    return msgspec.json.decode(finished.stdout.splitlines()[-1], type=Memory)
