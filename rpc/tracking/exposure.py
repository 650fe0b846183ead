"""Who can reach what listens here, said in one line where that is more than this machine."""

from __future__ import annotations

import ipaddress
import sys

LOOPBACK = "127.0.0.1"
#: Where a board's server listens, unless told otherwise; tunnels lead there.
SERVER_PORT = 9091


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def warn_if_exposed(what: str, host: str, meaning: str) -> None:
    """Print one line if others than this machine reach an address."""
    if not is_loopback(host):
        print(f"warning: {what} on {host}: {meaning}; 'python -m rpc tunnel' is the safe way", file=sys.stderr)
