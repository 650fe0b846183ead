"""Compile trained binarized PyTorch and ONNX models to bit-packed kernels for ARM and x86 CPUs.

import tvm_bnn
compiled = tvm_bnn.compile_model(module, example_inputs, target="native")
model = tvm_bnn.load(compiled.path)
y = model(x)
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvm_bnn.version import __version__

if TYPE_CHECKING:
    from schedules.errors import UserError
    from tvm_bnn.artifacts.runtime import Model, load
    from tvm_bnn.compile.compiler import Compiled, compile_model

__all__ = ["Compiled", "Model", "UserError", "__version__", "compile_model", "load"]

_ROOT = Path(__file__).resolve().parent.parent
#: The sibling packages: installed beside this one, and never to be taken from elsewhere.
_SIBLINGS = ("schedules", "relay_passes", "rpc", "experiments")
#: Where each public name lives; importing them costs seconds (TVM, PyTorch), so they are imported when asked for.
_HOME = {
    "Compiled": "tvm_bnn.compile.compiler",
    "Model": "tvm_bnn.artifacts.runtime",
    "UserError": "schedules.errors",
    "compile_model": "tvm_bnn.compile.compiler",
    "load": "tvm_bnn.artifacts.runtime",
}


def _refuse_shadowed_packages() -> None:
    """Fail in one line if a folder of the user's hides one of our packages: ``python -m`` puts the cwd first."""
    for name in _SIBLINGS:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        folder = Path(found.origin).resolve().parent
        if folder != _ROOT / name:
            # A name of None would make runpy print a traceback instead of the message.
            raise ImportError(
                f"{folder} hides tvm_bnn's own package '{name}': run from another directory, or use the command "
                "'tvm-bnn', which does not search the current one",
                name=__name__,
            )


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


_refuse_shadowed_packages()
