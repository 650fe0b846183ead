"""On how many threads TVM runs models: one number for a process, and for none of its forks."""

from __future__ import annotations

import os

from schedules.errors import UserError

_THREADS = "TVM_NUM_THREADS"
#: What this process told TVM.
_settled: dict[str, str] = {}
#: The process in which TVM has started threads: that which first ran a model on several.
_owner: dict[str, int] = {}


def settle_threads(threads: int | None) -> None:
    """Tell TVM how many threads to use: it reads the variable once, before the first call."""
    wanted = str(threads) if threads is not None else _settled.get(_THREADS, os.environ.get(_THREADS, "1"))
    if not wanted.isdecimal() or int(wanted) < 1:
        raise UserError(f"threads: '{wanted}'; at least 1 is needed")
    if _settled.setdefault(_THREADS, wanted) != wanted:
        raise UserError(f"threads: {wanted}; another model of this process has settled for {_settled[_THREADS]}")
    os.environ[_THREADS] = wanted


def claim_threads(model: str) -> None:
    """Make the threads this process's, before a model is run.

    Raises
    ------
    UserError
        If this is a fork of the process that has them: TVM would wait for threads that are not here, for ever.
    """
    if _settled.get(_THREADS, "1") != "1" and _owner.setdefault(_THREADS, os.getpid()) != os.getpid():
        raise UserError(
            f"model '{model}' shares its layers out to {_settled[_THREADS]} threads, which fork does not copy: start "
            "processes by multiprocessing's 'spawn' or 'forkserver', or load models with threads=1"
        )
