"""Packages that come with an extra: a command that needs one and lacks it says which to install."""

from __future__ import annotations

import importlib.util

from schedules.errors import UserError

#: Where a package is imported by another name than people know it by.
_NAMES = {"PIL": "Pillow", "sklearn": "scikit-learn", "torch": "PyTorch"}


def require(user: str, extra: str, *modules: str) -> None:
    """Go on if all modules are installed; nothing is imported.

    Parameters
    ----------
    user
        The command, or whatever needs them.
    extra
        What pip installs them with: ``tvm-bnn[report]``.
    modules
        By the names that they are imported by.

    Raises
    ------
    UserError
        If one is not.
    """
    missing = [_NAMES.get(name, name) for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise UserError(f"{user}: {', '.join(missing)} {are} not installed: pip install '{extra}'")
