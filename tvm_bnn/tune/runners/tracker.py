"""Whether a board can be reached: what TVM's tracker knows of it."""

from __future__ import annotations

import socket
import time
from typing import Any

import tvm.rpc

from schedules.errors import UserError

_POLL_S = 1.0
_ANSWER_S = 5.0
_KEPT = "all finished rounds are in the log, and the same command continues"


def address_of(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``.

    Raises
    ------
    UserError
        If it is not of that form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"tracker '{text}': expected host:port, e.g. 127.0.0.1:9190")
    return host, int(port)


def await_device(key: str, address: tuple[str, int], patience_s: float) -> None:
    """Wait until a tracker answers and knows of a device, as one that was rebooted registers itself again.

    Raises
    ------
    UserError
        If that takes longer than ``patience_s``, or the device has no runtime of TVM.
    """
    deadline = time.monotonic() + patience_s
    while True:
        missing = _missing(key, address)
        if not missing:
            return
        if time.monotonic() >= deadline:
            raise UserError(f"{missing}; {_KEPT}")
        time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))


def _missing(key: str, address: tuple[str, int]) -> str:
    """Return what is missing, empty if nothing is."""
    host, port = address
    try:
        # TVM would knock for a minute.
        socket.create_connection(address, timeout=_ANSWER_S).close()
        summary = tvm.rpc.connect_tracker(host, port).summary()
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1]
        return f"tracker '{host}:{port}': no answer ({reason}); start it with python -m tvm.exec.rpc_tracker"
    known = {str(server["key"]).removeprefix("server:"): server for server in summary["server_info"]}
    if key in known:
        _refuse_without_tvm(key, known[key])
        return ""
    others = ", ".join(sorted(known)) or "none"
    return f"device '{key}': not registered with the tracker {host}:{port}, which knows {others}"


def _refuse_without_tvm(key: str, server: dict[str, Any]) -> None:
    if server.get("facts", {}).get("bnn_format"):
        raise UserError(
            f"device '{key}': it runs whole deployed models, by libbnn; single kernels are timed where TVM's runtime is"
        )
