"""The steps of a compilation, from a model that TVM has read to a library: each takes one typed value to the next."""

from __future__ import annotations

import dataclasses

import msgspec
import tvm

from relay_passes import pipeline
from relay_passes.analysis.layers import Layer, layers_of
from schedules.tuned.lookup import tuned_for
from tvm_bnn.artifacts import artifact
from tvm_bnn.compile import backend
from tvm_bnn.compile.choices import Choices
from tvm_bnn.compile.cpu_features import needed_features
from tvm_bnn.compile.reporting.compilation_report import LayerRow
from tvm_bnn.compile.reporting.layer_rows import layer_rows
from tvm_bnn.compile.versions import versions
from tvm_bnn.deployment.folder import deployed_model
from tvm_bnn.deployment.seal import FORMAT_VERSION
from tvm_bnn.front_ends.source import Imported, Source
from tvm_bnn.verifying.independence import are_independent


@dataclasses.dataclass(frozen=True)
class Simplified:
    """The float graph that verdicts are about, and its layers."""

    module: tvm.IRModule
    layers: list[Layer]


@dataclasses.dataclass(frozen=True)
class Scheduled:
    """What code is generated from.

    Parameters
    ----------
    module
        Scheduled TIR.
    layers, rows
        Of the simplified graph, and what the report says of each.
    kernels
        The calls of ``main`` in order.
    passes
        All that were applied, by name.
    remarks
        What logs had to say, each once.
    """

    module: tvm.IRModule
    layers: list[Layer]
    rows: tuple[LayerRow, ...]
    kernels: tuple[artifact.KernelUse, ...]
    passes: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether the reference computes the same model: no layer runs on narrower numbers."""
        return not any(row.precision in {"bf16", "int8"} for row in self.rows)


@dataclasses.dataclass(frozen=True)
class Built:
    """The two parts of an artifact: a library, and the manifest that describes it."""

    library: bytes
    manifest: artifact.Manifest


def simplify(imported: Imported, choices: Choices, observe: pipeline.Observer | None) -> Simplified:
    """Return the simplified float graph of a model."""
    module = pipeline.run(imported.module, choices.simplification, observe)
    return Simplified(module, layers_of(module))


def schedule(simplified: Simplified, choices: Choices, observe: pipeline.Observer | None) -> Scheduled:
    """Binarize, pack, lower and schedule a simplified graph."""
    # Several layers may have the same to say of a log.
    said: dict[str, None] = {}
    logs = tuned_for(choices.target, choices.log, said.setdefault)
    passes = choices.binarization + pipeline.lower_to(choices.target.isa, logs, said.setdefault)
    module = pipeline.run(simplified.module, passes, observe)
    kernels = backend.kernel_uses(module, simplified.layers)
    return Scheduled(
        module,
        simplified.layers,
        layer_rows(simplified.layers, kernels, backend.constant_bytes(module, simplified.layers)),
        kernels,
        tuple(step.name for step in choices.simplification + passes),
        tuple(said),
    )


def input_specs(imported: Imported) -> tuple[artifact.TensorSpec, ...]:
    """Return the inputs of a model."""
    rows = zip(imported.input_names, imported.input_shapes, imported.input_dtypes, strict=True)
    return tuple(artifact.TensorSpec(*row) for row in rows)


def build(source: Source, imported: Imported, scheduled: Scheduled, choices: Choices) -> Built:
    """Generate code, and describe it."""
    target, outputs = choices.target, backend.output_specs(scheduled.module)
    manifest = artifact.Manifest(
        format_version=artifact.FORMAT_VERSION,
        model=source.name,
        model_sha256=source.sha256,
        target=target.name,
        machine=target.machine,
        isa=target.isa.name,
        tvm_target=target.tvm,
        inputs=input_specs(imported),
        outputs=outputs,
        passes=scheduled.passes,
        kernels=scheduled.kernels,
        versions=versions(),
        float_bytes=imported.float_bytes,
        library_bytes=0,
        library_sha256="",
        cpu_features=needed_features(target),
        bnn_format=FORMAT_VERSION if target.runtime == "libbnn" else 0,
        independent_samples=are_independent(source.reference("exact"), input_specs(imported), outputs, choices.samples),
    )
    library = _library(scheduled.module, manifest, choices)
    sealed = msgspec.structs.replace(manifest, library_bytes=len(library), library_sha256=artifact.sha256(library))
    return Built(library, sealed)


def _library(module: tvm.IRModule, manifest: artifact.Manifest, choices: Choices) -> bytes:
    """Return what runs on the target: a library for TVM's runtime, or a deployed model where there is none."""
    if choices.target.runtime == "tvm":
        return backend.build_library(module, choices.target, choices.toolchain)
    return deployed_model(module, manifest, choices.target, choices.toolchain)
