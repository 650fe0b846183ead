"""Why a peer was not measured."""

from __future__ import annotations

import importlib.util


class Unavailable(Exception):  # noqa: N818  (it is no error: the table says so and goes on)
    """A peer cannot run this, or is not installed; the message is one line."""


def require(package: str, why: str = "") -> None:
    """Raise :class:`Unavailable` if a package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise Unavailable(f"{package} is not installed{why and f' ({why})'}; pip install 'tvm-bnn[bench]'")
