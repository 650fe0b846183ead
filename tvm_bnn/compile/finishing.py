"""Write what a compilation leaves behind: the artifact, samples for devices, and the report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from rpc.measuring import reference_samples
from schedules.files.whole_file import write_atomically
from tvm_bnn.artifacts import artifact
from tvm_bnn.compile.choices import Choices
from tvm_bnn.compile.float_layers import narrowing_notes
from tvm_bnn.compile.reporting.compilation_report import KernelTime, Report, Stage
from tvm_bnn.compile.steps import Built, Scheduled
from tvm_bnn.deployment.sizes import Deployed
from tvm_bnn.front_ends.source import Imported
from tvm_bnn.verifying.verification import Checked


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was learnt of a built model: its answers, the times of its kernels, its deployed form."""

    checked: Checked
    kernel_times: tuple[KernelTime, ...]
    deployed: Deployed | None


def artifact_path(name: str, choices: Choices) -> Path:
    """Return where the artifact of a model goes."""
    return choices.output if choices.output is not None else Path(f"{name}.{choices.target.name}.so")


def marked(built: Built, findings: Findings) -> Built:
    """Return what was built with a manifest that says what is wrong with its answers, if the user accepts that."""
    unverified = findings.checked.unverified
    return Built(built.library, msgspec.structs.replace(built.manifest, unverified=unverified))


def write(path: Path, built: Built, findings: Findings) -> int:
    """Write the artifact and the samples beside it; return the artifact's size in bytes."""
    size = artifact.write_artifact(path, built.library, built.manifest)
    # Those of an earlier compilation would be another model's.
    reference_samples.beside(path).unlink(missing_ok=True)
    for_devices = findings.checked.for_devices
    if for_devices is not None:
        write_atomically(reference_samples.beside(path), reference_samples.encode(for_devices))
    return size


def report(
    path: Path,
    size: int,
    imported: Imported,
    scheduled: Scheduled,
    built: Built,
    findings: Findings,
    stages: list[Stage],
    choices: Choices,
) -> Report:
    """Return the report of a compilation, and write it beside the artifact.

    Parameters
    ----------
    path, size
        Of the artifact.
    imported, scheduled, built, findings, stages
        What the compilation went through.
    choices
        What it was asked for.
    """
    checked, manifest = findings.checked, built.manifest
    made = Report(
        model=manifest.model,
        artifact=str(path),
        target=manifest.target,
        isa=manifest.isa,
        machine=manifest.machine,
        layers=scheduled.rows,
        kernels=manifest.kernels,
        sign_zero=choices.sign_zero,
        float_bytes=manifest.float_bytes,
        library_bytes=manifest.library_bytes,
        artifact_bytes=size,
        parity=checked.parity,
        not_verified=checked.not_verified,
        accuracy=checked.accuracy,
        latency=checked.latency,
        not_measured=checked.not_measured,
        stages=tuple(stages),
        versions=manifest.versions,
        notes=(*imported.notes, *narrowing_notes(choices.float_layers, choices.target), *scheduled.remarks),
        float_layers=choices.float_layers,
        reference_accuracy=checked.reference_accuracy,
        deployed=findings.deployed,
        kernel_times=findings.kernel_times,
        trouble=checked.trouble,
        unverified=checked.unverified,
    )
    write_atomically(path.with_suffix(".report.json"), msgspec.json.format(msgspec.json.encode(made), indent=2))
    return made
