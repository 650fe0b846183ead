"""What nobody foresaw: one line for whoever sees it, and a file with the traceback for whoever mends it."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import sys
import traceback
from pathlib import Path

from schedules.errors import UserError

#: Whose versions a bug report needs.
_PACKAGES = ("tvm-bnn", "apache-tvm", "torch", "onnx", "onnxruntime", "numpy")
#: How notes begin that say where an exception came from.
_PLACES = ("in ", "at ")


def locate(error: BaseException, place: str) -> None:
    """Note where an exception came from, "in pass fold_constants" or "at layer 'stem.0'", for :func:`defect`."""
    error.add_note(place)


def defect(error: Exception, what: str, report: Path) -> UserError:
    """Write an exception's traceback to a file, and return the one line that stands for it.

    Parameters
    ----------
    error
        As it was caught.
    what
        Was being done.
    report
        The file; one of an earlier defect is overwritten.
    """
    chain = _chain(error)
    places = dict.fromkeys(
        note for each in chain for note in getattr(each, "__notes__", ()) if note.startswith(_PLACES)
    )
    # Passes and stages are noted after what happens in them.
    where = "".join(f" {place}" for place in reversed(places))
    root = chain[-1]
    said = next((line.strip() for line in str(root).splitlines() if line.strip()), "")
    return UserError(
        f"{what} failed{where}: {type(root).__name__}{': ' if said else ''}{said}; this is a defect of tvm_bnn: "
        f"{_written(error, what, report)}; --debug shows it here"
    )


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and what it was raised from, the first cause last."""
    found = [error]
    while (cause := found[-1].__cause__) is not None:
        found.append(cause)
    return found


def _written(error: Exception, what: str, report: Path) -> str:
    """Write the report and return what is said of it."""
    versions = ", ".join(f"{name} {version}" for name in _PACKAGES if (version := _version(name)))
    lines = [
        f"{what} failed",
        f"command: {shlex.join(sys.argv)}",
        f"machine: {platform.platform()}, Python {platform.python_version()}",
        f"packages: {versions}",
        "",
        *traceback.format_exception(error),
    ]
    try:
        report.write_text("\n".join(lines))
    except OSError as refused:
        return f"the traceback could not be written to '{report}' ({refused.strerror})"
    return f"the traceback, for a bug report, is in '{report}'"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
