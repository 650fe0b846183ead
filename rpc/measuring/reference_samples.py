"""Inputs and what a model must answer to them: what a device is verified against before it is timed.

The file is NumPy's ``.npz`` with arrays ``input0, input1, …`` and ``expected0, …``, whose first axis counts samples,
and the numbers that say what counts as the same answer.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rpc.formats.artifact_facts import Artifact
from rpc.formats.tensor_file import Array
from schedules.errors import UserError

SUFFIX = ".samples.npz"
_MATRIX = 2


class ReferenceSamples(msgspec.Struct, frozen=True):
    """Samples with their answers.

    Parameters
    ----------
    inputs, expected
        Arrays of the model's inputs and outputs; the first axis counts samples.
    tolerance
        An output may differ by so much.
    most_differing
        So large a share of the samples may differ by more: those in which a sign flipped.
    """

    inputs: tuple[Array, ...]
    expected: tuple[Array, ...]
    tolerance: float
    most_differing: float


class Agreement(msgspec.Struct, frozen=True):
    """How a device's answers compare with the expected ones.

    Parameters
    ----------
    samples, agreeing
        How many were compared, and how many are within tolerance.
    max_difference
        The largest absolute difference.
    same_predictions
        Share of samples whose largest output is the same; None if the first output is no ``(batch, classes)``.
    """

    samples: int
    agreeing: int
    max_difference: float
    same_predictions: float | None


def beside(artifact: Path) -> Path:
    """Return where the samples of an artifact lie."""
    return artifact.with_suffix(SUFFIX)


def encode(samples: ReferenceSamples) -> bytes:
    """Return the file."""
    arrays: dict[str, Any] = {f"input{index}": array for index, array in enumerate(samples.inputs)}
    arrays |= {f"expected{index}": array for index, array in enumerate(samples.expected)}
    arrays |= {"tolerance": np.float64(samples.tolerance), "most_differing": np.float64(samples.most_differing)}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def read(path: Path) -> ReferenceSamples:
    """Read the file.

    Raises
    ------
    UserError
        If it is missing or something else.
    """
    if not path.is_file():
        raise UserError(
            f"samples '{path}': no such file; 'python -m tvm_bnn.compile' writes it beside an artifact that it verifies"
            " and that is exact, --samples names another, and --no-verify measures without"
        )
    try:
        with np.load(path, allow_pickle=False) as stored:
            return ReferenceSamples(
                _numbered(stored, "input"),
                _numbered(stored, "expected"),
                float(stored["tolerance"]),
                float(stored["most_differing"]),
            )
    except (ValueError, KeyError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"samples '{path}' cannot be read ({error})") from None


def _numbered(stored: np.lib.npyio.NpzFile, name: str) -> tuple[Array, ...]:
    count = sum(key.startswith(name) for key in stored.files)
    return tuple(stored[f"{name}{index}"] for index in range(count))


def batches(samples: ReferenceSamples, artifact: Artifact) -> list[list[Array]]:
    """Cut the inputs into the batches that an artifact takes.

    Raises
    ------
    UserError
        If they do not fit it.
    """
    specs, name = artifact.facts.inputs, artifact.path.name
    if len(samples.inputs) != len(specs):
        raise UserError(f"samples for '{name}' have {len(samples.inputs)} inputs; the model takes {len(specs)}")
    counts = set()
    for array, spec in zip(samples.inputs, specs, strict=True):
        if array.dtype.name != spec.dtype or array.shape[1:] != spec.shape[1:] or len(array) % spec.shape[0]:
            raise UserError(
                f"samples for '{name}': '{spec.name}' is {array.dtype} {array.shape}; the model takes {spec.dtype}"
                f" {spec.shape}, or several times as many samples"
            )
        counts.add(len(array) // spec.shape[0])
    if len(counts) != 1 or counts == {0}:
        raise UserError(f"samples for '{name}': the inputs hold different numbers of batches, or none")
    cut = [np.split(array, len(array) // spec.shape[0]) for array, spec in zip(samples.inputs, specs, strict=True)]
    return [[np.ascontiguousarray(part) for part in batch] for batch in zip(*cut, strict=True)]


def compare(outputs: Sequence[Sequence[Array]], samples: ReferenceSamples, artifact: Artifact) -> Agreement:
    """Compare a device's outputs, a list of arrays for each batch, with the expected ones.

    Raises
    ------
    UserError
        If too many differ: then nothing is worth being timed.
    """
    found = [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
    if [array.shape for array in found] != [array.shape for array in samples.expected]:
        raise UserError(f"samples for '{artifact.path.name}' expect other outputs than the model has")
    distances = [np.abs(a.astype(float) - b.astype(float)) for a, b in zip(found, samples.expected, strict=True)]
    apart = np.max([distance.reshape(len(distance), -1).max(axis=1, initial=0) for distance in distances], axis=0)
    # NaN is no agreement.
    agreeing = int((apart <= samples.tolerance).sum())
    first, wanted = found[0], samples.expected[0]
    broken = int(sum((np.isfinite(b) & ~np.isfinite(a)).sum() for a, b in zip(found, samples.expected, strict=True)))
    if broken:
        raise UserError(
            f"artifact '{artifact.path.name}': {broken} numbers on the device are not finite where the reference's are;"
            " it is not timed"
        )
    classifies = first.ndim == _MATRIX and first.shape[1] > 1
    same = float((first.argmax(1) == wanted.argmax(1)).mean()) if classifies else None
    if len(apart) - agreeing > math.ceil(samples.most_differing * len(apart)):
        raise UserError(
            f"artifact '{artifact.path.name}': only {agreeing} of {len(apart)} samples on the device agree with the"
            f" reference within {samples.tolerance:.2g} (max |Δ| {float(apart.max()):.3g}); it is not timed"
        )
    return Agreement(len(apart), agreeing, float(apart.max()), same)


def zero_inputs(artifact: Artifact) -> list[Array]:
    """Return inputs of zeros, for a model that shall run without samples."""
    return [np.zeros(spec.shape, spec.dtype) for spec in artifact.facts.inputs]
