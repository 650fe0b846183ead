"""A tracker of our own, in another process, for as long as it is needed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from rpc.tracking.exposure import LOOPBACK
from rpc.tracking.tracker_client import Address, summary
from schedules.errors import UserError

_POLL_SECONDS = 0.1
#: The first start of an emulated board on a busy machine takes seconds.
PATIENCE_SECONDS = 60.0


@contextlib.contextmanager
def local_tracker(port: int = 0, secret: Path | None = None) -> Iterator[Address]:
    """Run a tracker on the loopback until the block ends; yields its address.

    Parameters
    ----------
    port
        Where it listens; 0 for any.
    secret
        File with the secret that it asks for; None for a tracker that serves everybody, TVM's tools too.

    Raises
    ------
    UserError
        If it does not start.
    """
    command = [sys.executable, "-m", "rpc", "tracker", "--host", LOOPBACK, "--port", str(port)]
    command += ["--no-secret"] if secret is None else ["--secret-file", str(secret)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        forwarding = threading.Thread(target=_forward, args=(process.stderr,), daemon=True)
        try:
            said = process.stderr.readline() if process.stderr is not None else ""
            if "listening on" not in said:
                raise UserError(f"tracker: it does not start ({said.strip() or 'no message'})")
            forwarding.start()
            yield Address(LOOPBACK, int(said.rsplit(":", 1)[1]))
        finally:
            process.terminate()
            if forwarding.is_alive():
                # It reads to the end, which comes with the tracker's, before the pipe is closed.
                forwarding.join()


def _forward(lines: IO[str]) -> None:
    """Pass on what the tracker says, which would stop when nobody read it."""
    for line in lines:
        sys.stderr.write(line)


def wait_for_devices(
    tracker: Address, keys: Sequence[str], seconds: float = PATIENCE_SECONDS, secret: bytes = b""
) -> None:
    """Wait until there is a free device for each key, as often as it is named.

    Raises
    ------
    UserError
        If there is not in time.
    """
    end = time.monotonic() + seconds
    wanted = Counter(keys)
    while True:
        free = Counter({key: queue.free for key, queue in summary(tracker, secret).queues.items()})
        missing = wanted - free
        if not missing:
            return
        if time.monotonic() > end:
            raise UserError(f"after {seconds:g} s the tracker {tracker} lacks {', '.join(sorted(missing))}")
        time.sleep(_POLL_SECONDS)
