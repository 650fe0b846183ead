"""The compiler as a function: a model in, an artifact and its report out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from relay_passes.simplify.settle_sign_zero import SignZero
from schedules.files.whole_file import check_writable
from schedules.machines.link import Toolchain
from schedules.machines.target import Target, find_target
from tvm_bnn.compile import finishing, steps
from tvm_bnn.compile.backend import output_specs
from tvm_bnn.compile.choices import Choices
from tvm_bnn.compile.float_layers import FloatLayers
from tvm_bnn.compile.ir_dump import ir_dumper
from tvm_bnn.compile.kernel_times.profiling import profiled
from tvm_bnn.compile.refusal import refuse_large_inputs, refuse_without_binary_layers
from tvm_bnn.compile.reporting.compilation_report import KernelTime, Report
from tvm_bnn.compile.stages import Clock
from tvm_bnn.front_ends.opening import Given, open_model
from tvm_bnn.front_ends.source import Source
from tvm_bnn.verifying import verification
from tvm_bnn.verifying.deployed import deploy_checked
from tvm_bnn.verifying.samples import Samples


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A finished compilation: where the artifact lies, and the report, which lies beside it as JSON."""

    path: Path
    report: Report


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
    accept_unverified: bool = False,
    toolchain: Toolchain = "zig",
    dump_ir: Path | None = None,
    deploy: Path | None = None,
    profile: bool = False,
    trust: bool = False,
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
    accept_unverified
        Write the artifact though its answers disagree with the reference's, as long as they are finite. Its manifest
        and every table that shows it say so.
    toolchain
        Which linker makes the library: Zig's from PyPI, or the system's cross compiler.
    dump_ir
        A folder that receives the module after every pass.
    deploy
        A folder that receives what a program without Python needs: model, runtime, header, example.
    profile
        Time each kernel call of the model on random inputs; this machine must be able to run it.
    trust
        Whether reading a ``.pt2`` file may run what is in it; else a file that could is refused.

    Raises
    ------
    UserError
        If something about the model or the target makes it impossible, or the compiled model disagrees with its
        reference. No artifact is written then. A defect of the compiler is one as well: it names the stage, and a file
        beside the artifact, ``.error.txt``, that has the traceback.
    """
    choices = Choices(
        target=target if isinstance(target, Target) else find_target(target),
        output=None if output is None else Path(output),
        samples=samples,
        sign_zero=sign_zero,
        float_layers=float_layers,
        log=log,
        verify=verify,
        accept_unverified=accept_unverified,
        toolchain=toolchain,
        dump_ir=dump_ir,
        deploy=deploy,
        profile=profile,
    )
    choices.check()
    clock = Clock(finishing.artifact_path("model", choices))
    with clock.stage("reading the model"):
        source = open_model(model, example_inputs, batch, trust)
    clock.artifact = finishing.artifact_path(source.name, choices)
    return _compile(source, choices, clock)


def _compile(source: Source, choices: Choices, clock: Clock) -> Compiled:
    """Compile an opened model: the picture in the README, a line an arrow."""
    path = finishing.artifact_path(source.name, choices)
    check_writable(path, "artifact")
    observe = ir_dumper(choices.dump_ir)
    with clock.stage("importing"):
        imported = source.read()
        refuse_large_inputs(imported)
        if choices.samples is not None:
            fitted = choices.samples.fitted(steps.input_specs(imported), output_specs(imported.module))
            choices = dataclasses.replace(choices, samples=fitted)
    with clock.stage("simplifying"):
        simplified = steps.simplify(imported, choices, observe)
    refuse_without_binary_layers(source.name, simplified.layers)
    with clock.stage("binarizing and scheduling"):
        scheduled = steps.schedule(simplified, choices, observe)
    with clock.stage("generating code"):
        built = steps.build(source, imported, scheduled, choices)
    findings = _examine(source, scheduled, built, choices, clock)
    with clock.guarded("writing the artifact and its report"):
        built = finishing.marked(built, findings)
        size = finishing.write(path, built, findings)
        report = finishing.report(path, size, imported, scheduled, built, findings, clock.stages, choices)
    return Compiled(path, report)


def _examine(
    source: Source, scheduled: steps.Scheduled, built: steps.Built, choices: Choices, clock: Clock
) -> finishing.Findings:
    """Verify and measure what was built, as far as that was asked for."""
    checked, deployed = verification.NOT_ASKED, None
    times: tuple[KernelTime, ...] = ()
    library, manifest, target = built.library, built.manifest, choices.target
    if choices.verify:
        with clock.stage("verifying"):
            reference = source.reference(choices.sign_zero)
            checked = verification.verify(
                reference, manifest, library, target, choices.samples, scheduled.exact, choices.accept_unverified
            )
    if choices.profile:
        with clock.stage("measuring its kernels"):
            times = profiled(scheduled.module, scheduled.layers, scheduled.rows, manifest.inputs, target)
    if choices.deploy is not None:
        with clock.stage("deploying"):
            deployed = deploy_checked(scheduled.module, manifest, library, target, choices.deploy, choices.toolchain)
    return finishing.Findings(checked, times, deployed)
