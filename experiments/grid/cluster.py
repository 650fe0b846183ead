"""Cells on the workers of a Dask cluster: many machines that share the run's folder.

Dask was taken over Ray because its workers are plain Python of any architecture, boards included, without a service of
their own beside it. A worker that dies takes the cell that it was computing with it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from experiments.grid.run_cell import run_cell
from experiments.tracks.plan import Plan
from experiments.tracks.result import Cell, Result
from schedules.errors import UserError

_LOCAL = "local:"
_CONNECT_SECONDS = 30


def on_cluster(address: str) -> Callable[[Plan, Sequence[Cell]], Iterator[Result]]:
    """Return what runs cells on a cluster.

    Parameters
    ----------
    address
        Of a scheduler (``tcp://host:8786``), or ``local:N``: N worker processes of this machine.
    """

    def run(plan: Plan, cells: Sequence[Cell]) -> Iterator[Result]:
        if not cells:
            return
        with _client(address) as client:
            yield from compute_on(client, plan, cells)

    return run


def compute_on(client: Any, plan: Plan, cells: Sequence[Cell]) -> Iterator[Result]:
    """Yield results as they come; a cell whose worker died has no outcome, and is tried in the next run."""
    from distributed import KilledWorker, as_completed

    # Results of an earlier run with other settings must not answer for this one.
    futures = {client.submit(run_cell, plan, cell, pure=False, retries=0): cell for cell in cells}
    for future in as_completed(list(futures)):
        cell = futures[future]
        if future.status == "finished":
            yield future.result()
            continue
        error = future.exception()
        if not isinstance(error, KilledWorker):
            raise error
        yield Result(cell=cell, settings=plan.settings, failed="its worker died; the next run computes it again")


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        import dask
        from distributed import Client
    except ModuleNotFoundError:
        raise UserError("--cluster needs Dask: pip install 'tvm-bnn[cluster]'") from None
    # By default a cell would be given to three more workers, and kill those too.
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.comm.timeouts.connect": _CONNECT_SECONDS}
    with dask.config.set(settings):
        if address.startswith(_LOCAL):
            with _local(address) as cluster, Client(cluster) as client:
                yield client
            return
        try:
            client = Client(address)
        except (OSError, ValueError) as error:
            raise UserError(f"cluster '{address}': {error}; start one with 'dask scheduler'") from None
        with client:
            yield client


@contextmanager
def _local(address: str) -> Iterator[Any]:
    from distributed import LocalCluster

    count = address.removeprefix(_LOCAL)
    if not count.isdecimal() or int(count) < 1:
        raise UserError(f"cluster '{address}': give local:N with N workers, or a scheduler's address")
    with LocalCluster(n_workers=int(count), threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster
