"""``--format json``: a command's result on stdout, for programs."""

from __future__ import annotations

import sys
from typing import Any

import msgspec


def print_json(result: Any) -> None:
    """Write a result, records or a report, as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
