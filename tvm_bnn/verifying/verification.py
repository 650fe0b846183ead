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
from tvm_bnn.verifying.latency import Latency
from tvm_bnn.verifying.parity import Parity, permitted
from tvm_bnn.verifying.refusal import refusal
from tvm_bnn.verifying.samples import Samples
from tvm_bnn.verifying.trouble_report import Trouble
from tvm_bnn.verifying.verdict import Answers, Asked, asked_of, verdict

Array = npt.NDArray[Any]
RANDOM_BATCHES = 16
SEED = 0
#: Of inputs that are stored beside an artifact.
MOST_DEVICE_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class Checked:
    """What verification found; where something is None, the text beside it says why.

    ``for_devices`` are samples to verify the artifact on elsewhere; None if float layers run on bytes. ``unverified``
    says what was found wrong where the user accepts it all the same.
    """

    parity: Parity | None
    not_verified: str
    accuracy: float | None
    latency: Latency | None
    not_measured: str
    reference_accuracy: float | None = None
    for_devices: ReferenceSamples | None = None
    trouble: Trouble | None = None
    unverified: str = ""


NOT_ASKED = Checked(None, "not asked for (--no-verify)", None, None, "not asked for (--no-verify)")


def verify(
    reference: Reference,
    manifest: Manifest,
    library: bytes,
    target: Target,
    samples: Samples | None,
    exact: bool = True,
    accept_unverified: bool = False,
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
    accept_unverified
        Whether outputs may disagree, as long as they are finite.

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
    source = samples.source if samples is not None else f"random, seed {SEED}"
    asked = asked_of(reference, source, batches, doubles=exact)
    missing = None if target.runs_here else not_executable(target)
    if missing is not None:
        for_devices = _for_devices(asked, asked.expected, exact)
        return Checked(None, missing, None, None, _needs_board(target), for_devices=for_devices)
    with _library_file(library) as path:
        if target.runs_here:
            model = Model(manifest, path)
            answers = [model.run(list(batch)) for batch in asked.batches]
        else:
            answers = run_library(library, manifest, target, asked.batches)
        found = verdict(asked, answers, "natively" if target.runs_here else "under emulation", exact)
        if found.disagreement and (found.is_broken or not accept_unverified):
            raise UserError(refusal(found.disagreement, found.parity, found.trouble))
        latency = _latency(model, reference, batches[0], manifest) if target.runs_here else None
    outputs = answers[: len(batches)]
    return Checked(
        found.parity,
        "",
        _accuracy(outputs, samples),
        latency,
        "" if latency is not None else _needs_board(target),
        _accuracy(asked.expected, samples),
        # What is accepted all the same is to be found again on a device, so that it is timed there.
        _for_devices(asked, outputs if found.disagreement else found.settled, exact),
        found.trouble,
        found.disagreement,
    )


def _for_devices(asked: Asked, answers: Answers, exact: bool) -> ReferenceSamples | None:
    """Return as many batches as are worth storing, with what a device has to answer; None where nothing need agree.

    The answers are the expected ones, but for near ties that the artifact decides otherwise.
    """
    if not exact or any(answer.ndim == 0 for answer in answers[0]):  # a lone number belongs to no sample
        return None
    batches = asked.samples
    kept = max(1, min(len(batches), MOST_DEVICE_BYTES // max(1, sum(array.nbytes for array in batches[0]))))
    tolerance, share = permitted(asked.expected, asked.yardstick)
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
    """Draw standard normal numbers; for integers, shuffle those that the model came with, or draw any bytes."""
    generator = np.random.default_rng(SEED)

    def draw(spec: TensorSpec, example: Array | None) -> Array:
        if spec.dtype == "float32":
            return generator.standard_normal(spec.shape, np.float32)
        if example is None and spec.dtype in {"uint8", "int8"}:
            limits = np.iinfo(spec.dtype)
            return generator.integers(limits.min, limits.max, spec.shape, spec.dtype, endpoint=True)
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
