"""Run what was compiled, natively or under emulation, against its reference: answers first, then speed."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rpc.measuring.measurement import measure
from rpc.measuring.reference_samples import ReferenceSamples
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.target import Target
from tvm_bnn.artifacts.artifact import Manifest, TensorSpec
from tvm_bnn.artifacts.runtime import Model
from tvm_bnn.front_ends.source import Reference
from tvm_bnn.verifying.execution import not_executable, run_library
from tvm_bnn.verifying.explanation import explain
from tvm_bnn.verifying.latency import Latency
from tvm_bnn.verifying.parity import MOST_RELATIVE_ERROR, Parity, compare, permitted
from tvm_bnn.verifying.samples import Samples

Array = npt.NDArray[Any]
RANDOM_BATCHES = 16
SEED = 0
#: Of inputs that are stored beside an artifact.
MOST_DEVICE_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class Checked:
    """What verification found; where something is None, the text beside it says why.

    ``for_devices`` are samples to verify the artifact on elsewhere; None if float layers run on bytes.
    """

    parity: Parity | None
    not_verified: str
    accuracy: float | None
    latency: Latency | None
    not_measured: str
    reference_accuracy: float | None = None
    for_devices: ReferenceSamples | None = None


NOT_ASKED = Checked(None, "not asked for (--no-verify)", None, None, "not asked for (--no-verify)")


def verify(
    reference: Reference,
    manifest: Manifest,
    library: bytes,
    target: Target,
    samples: Samples | None,
    exact: bool = True,
) -> Checked:
    """Compare a compiled library with the model it came from, and time both if it runs on this machine.

    Parameters
    ----------
    reference
        Runs the model as it was given.
    manifest, library
        The artifact's parts.
    target
        What the library was compiled for.
    samples
        Inputs; ``RANDOM_BATCHES`` batches of standard normal numbers if None.
    exact
        Whether the outputs have to agree; False if float layers run on bytes.

    Raises
    ------
    UserError
        If the samples do not fit the model, or the outputs disagree.
    """
    batches = (
        _random_batches(manifest.inputs, reference.examples)
        if samples is None
        else _batches(manifest.inputs, manifest.outputs, samples)
    )
    expected = [reference.run(batch) for batch in batches]
    yardstick = reference.run_double(batches) if exact else None
    missing = None if target.runs_here else not_executable(target)
    if missing is not None:
        for_devices = _for_devices(batches, expected, expected, yardstick, exact)
        return Checked(None, missing, None, None, _needs_board(target), for_devices=for_devices)
    with _library_file(library) as path:
        if target.runs_here:
            model = Model(manifest, path)
            outputs = [model.run(batch) for batch in batches]
        else:
            outputs = run_library(library, manifest, target, batches)
        parity = compare(
            outputs,
            expected,
            yardstick,
            reference.zero_signs,
            reference.name,
            samples.source if samples is not None else f"random, seed {SEED}",
            "natively" if target.runs_here else "under emulation",
            exact,
        )
        settled: Sequence[Sequence[Array]] = expected
        if exact and not parity.passed:
            parity, settled = explain(reference, batches, outputs, expected, parity)
        _refuse_disagreement(parity, reference.name)
        latency = _latency(model, reference, batches[0], manifest) if target.runs_here else None
    return Checked(
        parity,
        "",
        _accuracy(outputs, samples),
        latency,
        "" if latency is not None else _needs_board(target),
        _accuracy(expected, samples),
        _for_devices(batches, settled, expected, yardstick, exact),
    )


def _for_devices(
    batches: Sequence[list[Array]],
    answers: Sequence[Sequence[Array]],
    expected: Sequence[Sequence[Array]],
    yardstick: Sequence[Sequence[Array]] | None,
    exact: bool,
) -> ReferenceSamples | None:
    """Return as many batches as are worth storing, with what a device has to answer; None where nothing need agree.

    The answers are the expected ones, but for near ties that the artifact decides otherwise.
    """
    if not exact:
        return None
    kept = max(1, min(len(batches), MOST_DEVICE_BYTES // max(1, sum(array.nbytes for array in batches[0]))))
    tolerance, share = permitted(expected, yardstick)
    return ReferenceSamples(
        tuple(np.concatenate(parts) for parts in zip(*batches[:kept], strict=True)),
        tuple(np.concatenate(parts) for parts in zip(*answers[:kept], strict=True)),
        tolerance,
        share,
    )


def _needs_board(target: Target) -> str:
    if target.machine == host.machine():
        return f"this CPU lacks what target '{target.name}' needs"
    return f"this is no {target.machine} board, and times under emulation say nothing about one"


@contextmanager
def _library_file(library: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
        path = Path(folder) / "model.so"
        path.write_bytes(library)
        yield path


def _random_batches(specs: Sequence[TensorSpec], examples: Sequence[Array] | None) -> list[list[Array]]:
    """Draw standard normal numbers; for integers, shuffle those that the model came with."""
    generator = np.random.default_rng(SEED)

    def draw(spec: TensorSpec, example: Array | None) -> Array:
        if spec.dtype == "float32":
            return generator.standard_normal(spec.shape, np.float32)
        if example is None:
            raise UserError(f"input '{spec.name}' is {spec.dtype}: its range is not known, so name inputs to verify on")
        return generator.permutation(example.ravel()).reshape(spec.shape)

    known: Sequence[Array | None] = examples if examples is not None else [None] * len(specs)
    return [[draw(*pair) for pair in zip(specs, known, strict=True)] for _ in range(RANDOM_BATCHES)]


def _batches(specs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], samples: Samples) -> list[list[Array]]:
    """Cut samples that fit into the batches that the model takes."""
    fitted = samples.fitted(specs, outputs)
    count = len(fitted.arrays[0]) // specs[0].shape[0]
    cut = [np.split(array, count) for array in fitted.arrays]
    return [[np.ascontiguousarray(part[index]) for part in cut] for index in range(count)]


def _refuse_disagreement(parity: Parity, reference: str) -> None:
    if not parity.passed and not parity.exact:
        raise UserError(
            f"parity: float layers on narrow numbers are not exact by choice, but a relative L2 error of "
            f"{parity.relative_error:.2g} to {reference} is beyond {MOST_RELATIVE_ERROR:g}; no artifact written; "
            "--float-layers fp32 is exact, --no-verify writes it all the same"
        )
    if not parity.passed:
        raise UserError(
            f"parity: only {parity.right} of {parity.samples} samples agree with {reference} within "
            f"{parity.tolerance:.2g} (max |Δ| {parity.max_difference:.3g}); no artifact written; "
            "--no-verify writes it all the same"
        )


def _accuracy(outputs: Sequence[Sequence[Array]], samples: Samples | None) -> float | None:
    if samples is None or samples.labels is None:
        return None
    predictions = np.concatenate([batch[0].argmax(1) for batch in outputs])
    return float((predictions == samples.labels).mean())


def _latency(model: Model, reference: Reference, batch: list[Array], manifest: Manifest) -> Latency:
    """Time the compiled model and its reference in turns, with one thread each."""
    with reference.bound(batch) as original:
        times = measure({"compiled": model.bind(batch), "reference": original})
    return Latency(
        host.cpu_model(), 1, manifest.inputs[0].shape[0], times["compiled"], reference.name, times["reference"]
    )
