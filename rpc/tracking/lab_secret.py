"""The secret of this user's lab, made when it is first needed, and found by all commands of the same user.

The loopback is shared by all users of a machine; files of mode 600 are not.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
import tempfile
from pathlib import Path

from rpc.tracking.shared_secret import read_secret
from schedules.errors import UserError

NAME = "secret"
#: What somebody else could read or write with.
_OTHERS = 0o077
WITHOUT = "whoever reaches its address, all users of this machine too, can take devices, offer false ones and run code"


def secret_file(path: Path | None, without: bool, make: bool = False) -> Path | None:
    """Return the file of the secret to use; None for none.

    Parameters
    ----------
    path
        The file that was named, if one was.
    without
        To use none.
    make
        Make this user's, if there is none yet; else say that there is none.

    Raises
    ------
    UserError
        If both are given, or the file is not this user's alone.
    """
    if without:
        if path is not None:
            raise UserError("--secret-file and --no-secret exclude each other")
        return None
    if path is not None:
        read_secret(path)
        return path
    found = _folder() / NAME
    if make:
        _make(found)
    elif not os.path.lexists(found):
        raise UserError(
            f"secret: '{found}' does not exist, for no tracker or server of this user was started here; --secret-file"
            " FILE names that of another lab, and --no-secret speaks to one without"
        )
    _refuse_others(found)
    return found


def secret_of(path: Path | None, without: bool) -> bytes:
    """Return the secret that a client uses; empty, with a line that says what that means, to use none."""
    if without:
        print(
            "warning: --no-secret: whoever offers a device there is believed; nothing they send is run", file=sys.stderr
        )
    return read_secret(secret_file(path, without))


def _folder() -> Path:
    """Return a folder that is this user's alone: below $XDG_RUNTIME_DIR, or else in the temporary folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and _is_ours(Path(runtime)):
        folder = Path(runtime) / "tvm_bnn"
    else:
        folder = Path(tempfile.gettempdir()) / f"tvm_bnn-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not _is_ours(folder):
        raise UserError(
            f"secret: '{folder}' is not this user's alone; remove it, or set XDG_RUNTIME_DIR to a folder of mode 700"
        )
    return folder


def _is_ours(folder: Path) -> bool:
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & _OTHERS


def _make(path: Path) -> None:
    """Write a secret, whole or not at all; what is there already stays."""
    if os.path.lexists(path):
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # of mode 600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _refuse_others(path: Path) -> None:
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & _OTHERS:
        raise UserError(f"secret: '{path}' is not this user's alone; remove it, and start the lab again")
