"""Whether a board can be reached: what TVM's tracker knows of it."""

from __future__ import annotations

import time

from rpc.tracking.tracker_client import Address, Device, summary
from schedules.errors import UserError

_POLL_S = 1.0
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


def await_device(key: str, address: tuple[str, int], patience_s: float, secret: bytes = b"") -> None:
    """Wait until a tracker answers and knows of a device, as one that was rebooted registers itself again.

    Raises
    ------
    UserError
        If that takes longer than ``patience_s``, or the device has no runtime of TVM.
    """
    deadline = time.monotonic() + patience_s
    while True:
        missing = _missing(key, Address(*address), secret)
        if not missing:
            return
        if time.monotonic() >= deadline:
            raise UserError(f"{missing}; {_KEPT}")
        time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))


def _missing(key: str, address: Address, secret: bytes) -> str:
    """Return what is missing, empty if nothing is."""
    try:
        devices = {device.key: device for device in summary(address, secret).devices}
    except UserError as error:
        return f"tracker '{address}': no answer ({error})"
    if key in devices:
        _refuse_without_tvm(devices[key])
        return ""
    others = ", ".join(sorted(devices)) or "none"
    return f"device '{key}': not registered with the tracker {address}, which knows {others}"


def _refuse_without_tvm(device: Device) -> None:
    if device.facts.bnn_format:
        raise UserError(
            f"device '{device.key}': it runs whole deployed models, by libbnn; single kernels are timed where TVM's"
            " runtime is"
        )
