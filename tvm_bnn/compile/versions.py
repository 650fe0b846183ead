"""The tools that make an artifact what it is."""

from __future__ import annotations

import importlib.metadata

from tvm_bnn.version import __version__

_DISTRIBUTIONS = ("apache-tvm", "apache-tvm-ffi", "torch", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of the tools that make an artifact what it is."""
    found = {name: importlib.metadata.version(name) for name in _DISTRIBUTIONS}
    return {"tvm_bnn": __version__, **found}
