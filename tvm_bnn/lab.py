"""``python -m tvm_bnn.lab``: compile a model for several boards, run it on them through a tracker, compare answers.

Without boards, it emulates them. It is the device lab in one command; each step is a command of its own, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require
from tvm_bnn.zoo.digits import DIGITS

if TYPE_CHECKING:
    from rpc.measuring.records import DeviceRecord
    from rpc.tracking.tracker_client import Address


@dataclasses.dataclass(frozen=True)
class Options:
    """Compile a model for several boards, run it on each through a tracker, and hold the answers against PyTorch's."""

    model: Annotated[Path, tyro.conf.Positional] = DIGITS
    """As for tvm_bnn.compile; by default the embedded network for handwritten digits."""
    board: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A board, by its name as a target; once for each. By default rpi3 and rpi4."""
    tracker: str = ""
    """Of the lab where the boards are registered under these names, HOST:PORT; by default they are emulated here."""
    secret: Annotated[Path | None, tyro.conf.arg(name="secret-file")] = None
    """With --tracker: file with that lab's secret; by default this user's own."""
    no_secret: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Use a tracker and boards that prove nothing."""
    inputs: Path | None = None
    """As for tvm_bnn.compile."""
    repeats: int = 50
    """Samples of each latency on real boards; emulated ones are not timed."""
    record: Path | None = None
    """File that results are appended to, one JSON line each."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="tvm_bnn.lab")
    return finish(lambda: _lab(options), options.debug)


def _lab(options: Options) -> int:
    needed = ("torch",) if options.tracker else ("torch", "tornado")
    require("lab", "tvm-bnn[torch,rpc]", *needed)
    _show(options, run_lab(options))
    return 0


def run_lab(options: Options) -> list[DeviceRecord]:
    """Return a record for each board.

    Raises
    ------
    UserError
        If the model cannot be compiled, a board cannot be had, or it answers wrongly.
    """
    from rpc.tracking.lab_secret import secret_file, secret_of
    from rpc.tracking.shared_secret import read_secret
    from rpc.tracking.tracker_client import parse_address

    boards = options.board or ("rpi3", "rpi4")
    tracker = parse_address(options.tracker) if options.tracker else None
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        artifacts = {board: _compiled(options, board, Path(folder)) for board in boards}
        if tracker is not None:
            lab = _Lab(tracker, secret_of(options.secret, options.no_secret))
            return [_measured(lab, board, artifacts[board], options.repeats) for board in boards]
        from rpc.boards.emulated_boards import emulated_key

        file = secret_file(options.secret, options.no_secret, make=True)
        with _emulated_lab(boards, file) as local:
            lab = _Lab(local, read_secret(file))
            return [_measured(lab, emulated_key(board), artifacts[board], 0) for board in boards]


@dataclasses.dataclass(frozen=True)
class _Lab:
    """A tracker, and the secret that it and its boards know; empty for none."""

    tracker: Address
    secret: bytes


def _compiled(options: Options, board: str, folder: Path) -> Path:
    from tvm_bnn.compile.compiler import compile_model
    from tvm_bnn.verifying.sample_files import digits_samples, read_samples

    samples = None
    if options.inputs is not None:
        samples = read_samples(options.inputs)
    elif options.model == DIGITS:
        samples = digits_samples()
    path = folder / f"{options.model.stem}.{board}.so"
    return compile_model(options.model, target=board, output=path, samples=samples).path


@contextlib.contextmanager
def _emulated_lab(boards: tuple[str, ...], secret: Path | None) -> Iterator[Address]:
    """Run a tracker and emulated boards until the block ends."""
    from rpc.boards.emulated_boards import emulated_boards, emulated_key
    from rpc.tracking.local_tracker import local_tracker, wait_for_devices
    from rpc.tracking.shared_secret import read_secret
    from tvm_bnn.command_line.console import stage

    starting = stage("starting emulated boards")
    with local_tracker(secret=secret) as tracker, starting, emulated_boards(boards, tracker, secret):
        wait_for_devices(tracker, [emulated_key(board) for board in boards], secret=read_secret(secret))
        yield tracker


def _measured(lab: _Lab, key: str, artifact: Path, repeats: int) -> DeviceRecord:
    from rpc.measuring.device_measurement import Plan, candidate, measure_on_device
    from tvm_bnn.command_line.console import stage

    with stage(f"running on {key}"):
        plan = Plan(repeats=repeats, secret=lab.secret)
        (record,) = measure_on_device(lab.tracker, key, [candidate(artifact)], plan)
    return record


def _show(options: Options, records: list[DeviceRecord]) -> None:
    from rpc.measuring.device_tables import print_boards
    from schedules.files.record_file import append

    if options.record is not None:
        append(options.record, records)
    print_boards(records)


if __name__ == "__main__":
    sys.exit(main())
