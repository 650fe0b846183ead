"""The last bytes of a deployed model, by which libbnn knows it: struct ``bnn_seal`` of ``c/model.h``."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from schedules.errors import UserError

FORMAT_VERSION = 1
_FIELDS = struct.Struct("<8sIIQ32s424s")
_MAGIC = b"BNNMODEL"


def sealed(library: bytes, machine: str, needs: Sequence[str], format_version: int = FORMAT_VERSION) -> bytes:
    """Return a library with its seal behind it.

    Parameters
    ----------
    library
        A shared library; the dynamic loader ignores what follows it.
    machine
        As ``uname -m`` says it.
    needs
        CPU features, as ``/proc/cpuinfo`` names them.
    format_version
        Of the seal and of the description in the library.

    Raises
    ------
    UserError
        If the names do not fit.
    """
    words = "".join(f"{name} " for name in needs).encode()
    if len(words) >= 424 or len(machine) >= 32:  # noqa: PLR2004  (the fields' sizes, a zero byte left)
        raise UserError(f"deploy: the target needs {len(needs)} CPU features, more than a deployed model can name")
    content = library + _FIELDS.pack(_MAGIC, format_version, 0, len(library), machine.encode(), words)
    return content + hashlib.sha256(content).digest()
