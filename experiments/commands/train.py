"""``python -m experiments train``: one network on one data set, and what is compiled from it."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from experiments.commands.recipe_options import RecipeOptions
from schedules.errors import UserError
from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require

if TYPE_CHECKING:
    from experiments.training.job import Job
    from experiments.training.loop import Trained
    from experiments.training.processes import Processes


@dataclasses.dataclass(frozen=True)
class Options:
    """Train one network, test it, compile it, and test that on the whole test set. A training that was stopped goes on.

    Under torchrun, all processes train together.
    """

    algorithm: Annotated[str, tyro.conf.Positional]
    """The method, or 'float'."""
    architecture: Annotated[str, tyro.conf.Positional]
    """The network."""
    data: Annotated[str, tyro.conf.Positional]
    """NAME=FOLDER, or the NAME of data that needs no folder."""
    small: bool = False
    """Take the network in its small size."""
    output: Path = Path("trained")
    """Folder for checkpoints, the artifact and result.json."""
    threads: int = 2
    """Threads that training may use."""
    recipe: tyro.conf.OmitArgPrefixes[RecipeOptions] = dataclasses.field(default_factory=RecipeOptions)
    """How to train."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="experiments train")
    return finish(lambda: _train(options), options.debug)


def _train(options: Options) -> int:
    if options.threads < 1:
        raise UserError(f"--threads {options.threads}: at least 1 is needed")
    require("experiments train", "tvm-bnn[experiments]", "torch", "sklearn", "scipy", "PIL")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    # Threads that spin while they wait take the processor from those they wait for, wherever something else runs too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from experiments.training.processes import joined_processes

    job = job_of(options)
    with joined_processes() as processes:
        trained = _trained(options, job, processes)
        if processes.leads:
            _conclude(options, job, trained)
        processes.wait()
    return 0


def job_of(options: Options) -> Job:
    """Return the training.

    Raises
    ------
    UserError
        If a name is unknown, data is missing, or data and network do not fit.
    """
    from experiments.architectures.catalog import find_architecture
    from experiments.binarizers.catalog import find_binarizer
    from experiments.data.catalog import find_source
    from experiments.tracks.plan import Workload, load_data
    from experiments.training.job import Job

    name, _, folder = options.data.partition("=")
    source, architecture = find_source(name), find_architecture(options.architecture)
    if source.task != architecture.task:
        raise UserError(
            f"architecture '{architecture.name}' is for {architecture.task}; data '{name}' is {source.task}"
        )
    if not folder and not source.embedded:
        raise UserError(f"data '{name}': say where it lies, {name}=FOLDER")
    binarizer = find_binarizer(options.algorithm)
    data = load_data(Workload(name, folder, (architecture.name,), options.small), architecture)
    return Job(binarizer, architecture, data, options.recipe.recipe(source.task), options.small)


def _trained(options: Options, job: Job, processes: Processes) -> Trained:
    """Train the full-precision twin if the recipe wants it, then the network."""
    from experiments.binarizers.catalog import FLOAT
    from experiments.training.key import plain

    wants_twin = job.binarizer.name != FLOAT.name and (job.recipe.from_float or job.recipe.distillation > 0)
    twin = None
    if wants_twin:
        twin_job = dataclasses.replace(job, binarizer=FLOAT, recipe=plain(job.recipe))
        twin = _with_progress(twin_job, _checkpoint(options, twin_job), processes).model
    start = twin if job.recipe.from_float else None
    return _with_progress(job, _checkpoint(options, job), processes, start=start, teacher=twin)


def _checkpoint(options: Options, job: Job) -> Path:
    """Return where a training keeps its state: one of another recipe, network or folder of data is another file."""
    from experiments.training.key import key_of

    return options.output / f"{key_of(job, options.data.partition('=')[2])}.pt"


def _with_progress(job: Job, path: Path, processes: Processes, **networks: object) -> Trained:
    from experiments.training.loop import steps_of, train
    from experiments.training.watch import watched

    if not processes.leads:
        return train(job, path, processes=processes, **networks)  # type: ignore[arg-type]
    with watched(job.name, job.recipe.epochs * steps_of(job)) as watcher:
        return train(job, path, processes=processes, watcher=watcher, **networks)  # type: ignore[arg-type]


def _conclude(options: Options, job: Job, trained: Trained) -> None:
    """Compile, test, print and keep what came of it."""
    import msgspec

    from experiments.binarizers.catalog import FLOAT
    from schedules.files.whole_file import write_atomically
    from tvm_bnn.command_line.console import stdout

    result = {
        "network": job.name,
        "checkpoint": _checkpoint(options, job).name,
        "metric": job.dataset.metric,
        "test_samples": len(job.dataset.test),
        "score": trained.score,
        "train_seconds": trained.seconds,
        "recipe": msgspec.to_builtins(job.recipe),
    }
    lines = [f"{job.name}: {trained.score:.2f} % ({job.dataset.metric}) on {len(job.dataset.test)} test samples"]
    if job.binarizer.name != FLOAT.name:
        from experiments.training.compiled_score import compiled_score

        made = compiled_score(job, trained.model, options.output / f"{job.binarizer.name}.so")
        result |= {"compiled_score": made.score, "artifact": str(made.compiled.path)}
        lines.append(f"compiled: {made.score:.2f} % on the same samples; {made.compiled.path}")
    write_atomically(options.output / "result.json", msgspec.json.format(msgspec.json.encode(result), indent=2))
    for line in lines:
        stdout().print(line, markup=False)


if __name__ == "__main__":
    sys.exit(main())
