"""``python -m tvm_bnn.compile``: compile a model and print its report."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from schedules.files.json_output import print_json
from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require
from tvm_bnn.zoo.digits import DIGITS

if TYPE_CHECKING:
    from tvm_bnn.verifying.samples import Samples


@dataclasses.dataclass(frozen=True)
class Options:
    """Compile a trained binarized model for a CPU, check it against the framework it comes from, and report on it."""

    model: Annotated[Path, tyro.conf.Positional] = DIGITS
    """What torch.export.save wrote, or an .onnx file; or file.py:NAME or package.module:NAME, which makes a
    torch.nn.Module without arguments; by default a small network for handwritten digits from the package."""
    weights: Path | None = None
    """For file.py:NAME: a state dict that torch.save wrote; by default the weights are those that NAME gives."""
    input: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """For file.py:NAME: shape of an input, 1x3x224x224 or 1x128:int64; once for each input, in order."""
    batch: int | None = None
    """Batch to compile for, where the model was exported with a dynamic first dimension; 1 by default."""
    target: str = "native"
    """Machine to compile for: a name that 'list' prints, or a TVM target in JSON."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Artifact to write; by default <model>.<target>.so here. The report goes beside it, as .report.json."""
    inputs: Path | None = None
    """Real inputs to verify on: .npy, or .npz with one array for each input, in order, and perhaps 'labels'."""
    sign_zero: Literal["exact", "plus", "minus"] = "exact"
    """Sign of an exact zero: 0 as in the model, at the cost of a second bit plane where zeros are to be expected, or
    always +1 or -1, which is faster and another model where zeros occur; the report counts them."""
    float_layers: Literal["fp32", "bf16", "int8"] = "fp32"
    """What layers that stay float compute in: exact by default; int8 is faster on x86 and on ARM with dotprod, bf16
    on processors that multiply it. Both are no longer the same model, so the report gives the difference."""
    log: Path | None = None
    """Tuning log, from tvm_bnn.tune, whose schedules are taken first; then those of the package, then the default."""
    verify: bool = True
    """Compare with PyTorch or ONNX Runtime, and measure both where the target is this machine."""
    accept_unverified: bool = False
    """Write the artifact though its answers disagree with the reference's; its manifest and every table say so."""
    linker: Literal["zig", "system"] = "zig"
    """Who links the library: Zig from PyPI, or the system's (cross) compiler."""
    format: Literal["table", "json"] = "table"
    """How to print the report."""
    dump_ir: Path | None = None
    """Folder that receives the module after every pass."""
    deploy: Path | None = None
    """Folder that receives what a program without Python needs: the model, a runtime in C, bnn.h, an example."""
    profile: bool = False
    """Time each kernel call as well, for the waterfall and the roofline of tvm_bnn.report."""
    trust: bool = False
    """Open a .pt2 that could run code while it is read: one with pickled objects. Others are opened without."""
    debug: bool = False
    """Show the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, args=arguments, prog="tvm_bnn.compile")
    return finish(_list_targets if options.target == "list" else lambda: _compile(options), options.debug)


def _list_targets() -> int:
    from schedules.machines.target import TARGETS, native
    from tvm_bnn.compile.reporting.target_table import print_targets

    print_targets((native(), *TARGETS))
    return 0


def _compile(options: Options) -> int:
    require("compile", "tvm-bnn[torch]", "torch")
    from tvm_bnn.compile.compiler import compile_model
    from tvm_bnn.compile.reporting.report_table import print_report
    from tvm_bnn.front_ends.torch_model.factory import named_model

    compiled = compile_model(
        named_model(options.model, options.weights, options.input),
        batch=options.batch,
        target=options.target,
        output=options.output,
        samples=_samples(options),
        sign_zero=options.sign_zero,
        float_layers=options.float_layers,
        log=options.log,
        verify=options.verify,
        accept_unverified=options.accept_unverified,
        toolchain=options.linker,
        dump_ir=options.dump_ir,
        deploy=options.deploy,
        profile=options.profile,
        trust=options.trust,
    )
    if options.format == "json":
        print_json(compiled.report)
    else:
        print_report(compiled.report)
    return 0


def _samples(options: Options) -> Samples | None:
    """Return the inputs that the user named, those of the embedded model, or none."""
    from tvm_bnn.verifying.sample_files import digits_samples, read_samples

    if options.inputs is not None:
        return read_samples(options.inputs)
    return digits_samples() if options.model == DIGITS else None
