"""``python -m experiments run``: compute a track's cells, or all tracks'."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from experiments.commands.recipe_options import RATES, RecipeOptions
from schedules.errors import UserError
from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require

if TYPE_CHECKING:
    from experiments.tracks.plan import Plan

TrackName = Literal["all", "learning", "architecture", "robustness", "training", "complexity", "hardware"]


@dataclasses.dataclass(frozen=True)
class Options:
    """Compute the cells of one track, or of all, that have no result yet; a run that was stopped goes on."""

    track: Annotated[TrackName, tyro.conf.Positional]
    """Which of the six; 'all' for one after the other."""
    default_data: bool = False
    """Take embedded or generated data, and small networks, for every modality that --data does not name."""
    data: tuple[str, ...] = ()
    """NAME=FOLDER, or several: data to train and test on; 'list' prints the names."""
    algorithms: tuple[str, ...] = ()
    """Methods, beside full precision; by default the eight of the paper, 'all' for every one there is."""
    architectures: tuple[str, ...] = ()
    """Only these networks."""
    small: bool = False
    """Take small networks on data of your own too."""
    corruptions: tuple[str, ...] = ()
    """Kinds of corruption; by default the fifteen of CIFAR10-C."""
    cifar10_c: Path | None = None
    """The folder of CIFAR10-C, to be read in place of corrupting CIFAR-10's test images."""
    test_samples: int | None = None
    """Corrupt at most so many test images."""
    tracker: str = ""
    """HOST:PORT of a tracker: the hardware track measures on every device that it offers, too."""
    cluster: str = ""
    """Address of a Dask scheduler, or local:N for N workers here; tracks that measure times stay in this process."""
    output: Path = Path("bibench")
    """Folder for results.jsonl, checkpoints and artifacts."""
    repeats: int = 30
    """Samples of each measurement."""
    threads: int = 1
    """Threads that training may use; small networks gain nothing from more. Measurements take one."""
    recipe: tyro.conf.OmitArgPrefixes[RecipeOptions] = dataclasses.field(default_factory=RecipeOptions)
    """How everything is trained."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="experiments run")
    return finish(lambda: _run(options), options.debug)


def _run(options: Options) -> int:
    if options.data == ("list",):
        from experiments.data.catalog import SOURCES

        sys.stdout.writelines(f"{source.name:16} {source.task}\n" for source in SOURCES)
        return 0
    if options.threads < 1 or options.repeats < 1:
        raise UserError(f"--threads {options.threads} --repeats {options.repeats}: both must be at least 1")
    require("experiments run", "tvm-bnn[experiments]", "torch", "sklearn", "scipy", "PIL")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    # Threads that spin while they wait take the processor from those they wait for, wherever something else runs too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from experiments.grid.run_grid import run_grid
    from experiments.tracks.track import TRACKS

    tracks = [track for track in TRACKS if options.track in ("all", track.name)]
    return 1 if run_grid(plan_of(options), tracks, options.cluster) else 0


def plan_of(options: Options) -> Plan:
    """Return the plan.

    Raises
    ------
    UserError
        If a name is unknown or there is nothing to run.
    """
    from experiments.corruptions.catalog import CORRUPTIONS, STANDARD
    from experiments.tracks.plan import Plan, algorithms, workloads

    unknown = [kind for kind in options.corruptions if kind not in CORRUPTIONS]
    if unknown:
        raise UserError(f"corruption '{unknown[0]}': there is none of that name; there are {', '.join(CORRUPTIONS)}")
    return Plan(
        folder=str(options.output),
        algorithms=algorithms(options.algorithms),
        workloads=workloads(folders(options.data), options.default_data, options.architectures, options.small),
        recipe=options.recipe.recipe(),
        recipes=tuple((task, options.recipe.recipe(task)) for task in RATES),
        repeats=options.repeats,
        tracker=options.tracker,
        test_samples=options.test_samples,
        corruptions=options.corruptions or tuple(STANDARD),
        corrupted="" if options.cifar10_c is None else str(options.cifar10_c),
    )


def folders(named: tuple[str, ...]) -> dict[str, str]:
    """Return the folders of ``NAME=FOLDER``.

    Raises
    ------
    UserError
        If one is something else.
    """
    found = {}
    for text in named:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UserError(f"--data {text}: give NAME=FOLDER; '--data list' prints the names")
        found[name] = folder
    return found


if __name__ == "__main__":
    sys.exit(main())
