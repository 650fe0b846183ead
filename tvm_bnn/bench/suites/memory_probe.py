"""``python -m tvm_bnn.bench.suites.memory_probe compiled|torch FILE INPUT``: run a network, print its memory as JSON.

Nothing that is not needed to run the network may be imported here.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
#: What, written there, makes the high-water mark start again (Linux 4.0 on).
_RESET_MARK = "5"
_CALLS = 3


def _run_compiled(file: str, example: str) -> int:
    # tvm_ffi imports PyTorch wherever it is installed, and running an artifact does not need it.
    sys.modules["torch"] = None  # type: ignore[assignment]
    # Before the first reading: importing the runtime is not what this network takes.
    importlib.import_module("tvm.runtime.vm")
    from tvm_bnn.artifacts.runtime import load

    x = np.load(example)
    before = _start()
    model = load(file)
    for _ in range(_CALLS):
        model(x)
    return before


def _run_torch(file: str, example: str) -> int:
    import torch

    x = torch.from_numpy(np.load(example))
    before = _start()
    module = torch.load(file, weights_only=False)
    with torch.inference_mode():
        for _ in range(_CALLS):
            module(x)
    return before


def _start() -> int:
    """Forget the peak so far and return what is resident now."""
    if _RESET.exists():
        _RESET.write_text(_RESET_MARK, encoding="ascii")
    return _status("VmRSS")


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{_STATUS} tells no {name}")
    return int(found.group(1)) * 1024


if __name__ == "__main__":
    kind, network, inputs = sys.argv[1:]
    resident = _run_compiled(network, inputs) if kind == "compiled" else _run_torch(network, inputs)
    peak = _status("VmHWM")
    print(json.dumps({"process_bytes": peak, "network_bytes": peak - resident}))
