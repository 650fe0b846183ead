"""The compiler as a function: a model in, an artifact and its report out."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
import tvm

from relay_passes import pipeline
from relay_passes.analysis.layers import Layer, layers_of
from relay_passes.simplify.settle_sign_zero import SignZero
from rpc.measuring import reference_samples
from schedules.errors import UserError
from schedules.machines.link import Toolchain
from schedules.machines.target import Target, find_target
from schedules.tuned.lookup import tuned_for
from schedules.tuned.tuning_log import existing
from tvm_bnn.artifacts import artifact
from tvm_bnn.command_line.console import stage
from tvm_bnn.compile import backend
from tvm_bnn.compile.compilation_report import KernelTime, Report, Stage
from tvm_bnn.compile.cpu_features import needed_features
from tvm_bnn.compile.float_layers import FloatLayers, narrowing_notes, packing
from tvm_bnn.compile.layer_rows import layer_rows
from tvm_bnn.compile.profiling import profiled
from tvm_bnn.deployment.folder import deployed_model
from tvm_bnn.deployment.seal import FORMAT_VERSION
from tvm_bnn.front_ends.opening import Given, open_model
from tvm_bnn.verifying import verification
from tvm_bnn.verifying.deployed import deploy_checked
from tvm_bnn.verifying.verification import Samples
from tvm_bnn.version import __version__

#: The message about a model without binary layers goes through so many of them.
MOST_EXPLAINED = 5
_DISTRIBUTIONS = ("apache-tvm", "apache-tvm-ffi", "torch", "numpy")


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A finished compilation: where the artifact lies, and the report, which lies beside it as JSON."""

    path: Path
    report: Report


@dataclasses.dataclass
class _Clock:
    """Shows the stages as they come and keeps their times."""

    stages: list[Stage] = dataclasses.field(default_factory=list)

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        with stage(name):
            result = step()
        self.stages.append(Stage(name, time.perf_counter() - start))
        return result


def compile_model(  # noqa: PLR0913  (a keyword for each choice, all with defaults)
    model: Given,
    example_inputs: Sequence[torch.Tensor] = (),
    *,
    batch: int | None = None,
    target: str | Target = "native",
    output: str | os.PathLike[str] | None = None,
    samples: Samples | None = None,
    sign_zero: SignZero = "exact",
    float_layers: FloatLayers = "fp32",
    log: Path | None = None,
    verify: bool = True,
    toolchain: Toolchain = "zig",
    dump_ir: Path | None = None,
    deploy: Path | None = None,
    profile: bool = False,
) -> Compiled:
    """Compile a trained binarized model.

    Parameters
    ----------
    model
        A ``.pt2`` or ``.onnx`` file, a module, or a ``Factory``, which makes one. None of them is changed.
    example_inputs
        For a module: tensors of the shapes to compile for.
    batch
        Samples in a batch, for a model that was exported with a dynamic first dimension; 1 if None. Other models have
        one batch, and no other may be asked for.
    target
        A name that ``--target list`` prints, or a TVM target in JSON.
    output
        The artifact to write; by default ``<model>.<target>.so`` in the working directory. The report goes beside it.
    samples
        Inputs to verify on; random ones if None.
    sign_zero
        What the sign of an exact zero is: 0 as in the model, which takes a second bit plane where zeros are to be
        expected, or always +1 (``plus``) or -1 (``minus``). The reference's signs are the same.
    float_layers
        What convolutions and linear layers with constant weights that stay float compute in: ``fp32``, exact, or
        ``int8``, with weights rounded per output channel and inputs per image or row, at run time, or ``bf16``, with
        both operands rounded to eight significant bits, where the target multiplies those.
    log
        A tuning log, whose schedules come before those that ship with the package, and these before the default.
    verify
        Compare the compiled model with PyTorch or ONNX Runtime, and measure both where the target is this machine.
    toolchain
        Which linker makes the library: Zig's from PyPI, or the system's cross compiler.
    dump_ir
        A folder that receives the module after every pass.
    deploy
        A folder that receives what a program without Python needs: model, runtime, header, example.
    profile
        Time each kernel call of the model on random inputs; this machine must be able to run it.

    Raises
    ------
    UserError
        If something about the model or the target makes it impossible, or the compiled model disagrees with its
        reference. No artifact is written then.
    """
    goal = target if isinstance(target, Target) else find_target(target)
    if profile and not goal.runs_here:
        raise UserError(
            f"profile: this machine cannot run what is compiled for '{goal.name}'; times are measured natively"
        )
    packed = packing(goal, float_layers)
    given_log = existing(log)
    clock = _Clock()
    source = clock.run("reading the model", lambda: open_model(model, example_inputs, batch))
    imported = clock.run("importing", source.read)
    observe = ir_dumper(dump_ir)
    simplification = pipeline.simplify(sign_zero)
    simplified = clock.run("simplifying", lambda: pipeline.run(imported.module, simplification, observe))
    layers = layers_of(simplified)
    refuse_without_binary_layers(source.name, layers)
    # Several layers may have the same to say of a log.
    said: dict[str, None] = {}
    logs = tuned_for(goal, given_log, said.setdefault)
    lowering = pipeline.lower_to(goal.isa, logs, said.setdefault)
    passes = pipeline.canonicalize() + packed + lowering
    scheduled = clock.run("binarizing and scheduling", lambda: pipeline.run(simplified, passes, observe))
    kernels = backend.kernel_uses(scheduled, layers)
    rows = layer_rows(layers, kernels, backend.constant_bytes(scheduled, layers))
    exact = not any(row.precision in {"bf16", "int8"} for row in rows)
    manifest = artifact.Manifest(
        format_version=artifact.FORMAT_VERSION,
        model=source.name,
        model_sha256=source.sha256,
        target=goal.name,
        machine=goal.machine,
        isa=goal.isa.name,
        tvm_target=goal.tvm,
        inputs=tuple(
            artifact.TensorSpec(*spec)
            for spec in zip(imported.input_names, imported.input_shapes, imported.input_dtypes, strict=True)
        ),
        outputs=backend.output_specs(scheduled),
        passes=tuple(step.name for step in simplification + passes),
        kernels=kernels,
        versions=versions(),
        float_bytes=imported.float_bytes,
        library_bytes=0,
        library_sha256="",
        cpu_features=needed_features(goal),
        bnn_format=FORMAT_VERSION if goal.runtime == "libbnn" else 0,
    )
    library = clock.run("generating code", lambda: _library(scheduled, manifest, goal, toolchain))
    manifest = msgspec.structs.replace(manifest, library_bytes=len(library), library_sha256=artifact.sha256(library))
    checked = verification.NOT_ASKED
    if verify:
        checked = clock.run(
            "verifying",
            lambda: verification.verify(source.reference(sign_zero), manifest, library, goal, samples, exact),
        )
    times: tuple[KernelTime, ...] = ()
    if profile:
        times = clock.run("measuring its kernels", lambda: profiled(scheduled, layers, rows, manifest.inputs, goal))
    deployed = None
    if deploy is not None:
        folder = deploy
        deployed = clock.run("deploying", lambda: deploy_checked(scheduled, manifest, library, goal, folder, toolchain))
    path = Path(output) if output is not None else Path(f"{source.name}.{goal.name}.so")
    size = artifact.write_artifact(path, library, manifest)
    # Those of an earlier compilation would be another model's.
    reference_samples.beside(path).unlink(missing_ok=True)
    if checked.for_devices is not None:
        artifact.write_atomically(reference_samples.beside(path), reference_samples.encode(checked.for_devices))
    report = Report(
        model=source.name,
        artifact=str(path),
        target=goal.name,
        isa=goal.isa.name,
        machine=goal.machine,
        layers=rows,
        kernels=kernels,
        sign_zero=sign_zero,
        float_bytes=imported.float_bytes,
        library_bytes=len(library),
        artifact_bytes=size,
        parity=checked.parity,
        not_verified=checked.not_verified,
        accuracy=checked.accuracy,
        latency=checked.latency,
        not_measured=checked.not_measured,
        stages=tuple(clock.stages),
        versions=manifest.versions,
        notes=(*imported.notes, *narrowing_notes(float_layers, goal), *said),
        float_layers=float_layers,
        reference_accuracy=checked.reference_accuracy,
        deployed=deployed,
        kernel_times=times,
    )
    artifact.write_atomically(
        path.with_suffix(".report.json"), msgspec.json.format(msgspec.json.encode(report), indent=2)
    )
    return Compiled(path, report)


def _library(scheduled: tvm.IRModule, manifest: artifact.Manifest, target: Target, toolchain: Toolchain) -> bytes:
    """Return what runs on the target: a library for TVM's runtime, or a deployed model where there is none."""
    if target.runtime == "tvm":
        return backend.build_library(scheduled, target, toolchain)
    return deployed_model(scheduled, manifest, target, toolchain)


def refuse_without_binary_layers(model: str, layers: Sequence[Layer]) -> None:
    """Raise a one-line ``UserError`` that goes through the layers if none of them is binary."""
    if any(layer.float_reason is None or layer.stores_bits for layer in layers):
        return
    looked_at = "; ".join(f"'{layer.name}': {layer.float_reason}" for layer in layers[:MOST_EXPLAINED])
    more = len(layers) - MOST_EXPLAINED
    raise UserError(
        f"model '{model}' has no binary layer among its {len(layers)} convolutions and linear layers"
        + (f" ({looked_at}{f'; and {more} more' if more > 0 else ''})" if layers else "")
        + "; a layer runs on bits if its input and the channels of its weight take few, evenly spaced values each"
    )


def ir_dumper(folder: Path | None) -> pipeline.Observer | None:
    """Return an observer that writes the module after every pass to ``<folder>/<number>_<pass>.py``."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    numbers = itertools.count(1)

    def dump(applied: pipeline.Applied) -> None:
        path = folder / f"{next(numbers):02d}_{applied.name}.py"
        artifact.write_atomically(path, applied.module.script().encode())

    return dump


def versions() -> dict[str, str]:
    """Return the versions of the tools that make an artifact what it is."""
    found = {name: importlib.metadata.version(name) for name in _DISTRIBUTIONS}
    return {"tvm_bnn": __version__, **found}
