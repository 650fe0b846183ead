"""What a compiled model answers to samples that look for trouble, held against its reference sample by sample.

These are few and unlike each other, so that no share of them may differ: each has to agree, but for those about which
the reference is undecided itself, because its float64 answers otherwise than its float32, or because what rounding may
do moves its answers. The report names those. Inputs that are not finite are tried too, and not judged: where the
compiled model answers a number and the reference none, or the other way round, the report says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_bnn.front_ends.source import Reference
from tvm_bnn.verifying.parity import Parity, compare, differences, tolerance_of
from tvm_bnn.verifying.trouble_report import Trouble
from tvm_bnn.verifying.trouble_samples import Kind, finite_kinds, other_kinds

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Asked:
    """Kinds of samples with what the reference answers; ``zeros`` of its signs were of an exact zero."""

    kind: Kind
    expected: list[Array]
    zeros: int


@dataclasses.dataclass(frozen=True)
class Questions:
    """All that the reference took, those of finite numbers first, and the names of those that it did not take."""

    finite: list[Asked]
    other: list[Asked]
    not_taken: tuple[str, ...]

    @property
    def batches(self) -> list[list[Array]]:
        """The inputs."""
        return [asked.kind.inputs for asked in (*self.finite, *self.other)]


def ask(reference: Reference, batch: Sequence[Array]) -> Questions:
    """Let the reference answer samples that look for trouble, made of an ordinary batch."""
    refused: list[str] = []

    def answered(kinds: Sequence[Kind]) -> list[Asked]:
        found = []
        for kind in kinds:
            before = reference.zero_signs[0]
            try:
                expected = reference.run(kind.inputs)
            except (RuntimeError, IndexError):  # a model may compute indices, or check what it is given
                refused.append(kind.name)
                continue
            found.append(Asked(kind, expected, reference.zero_signs[0] - before))
        return found

    finite = answered(finite_kinds(batch, reference.index_limits()))
    return Questions(finite, answered(other_kinds(batch)), tuple(refused))


def judge(
    reference: Reference,
    questions: Questions,
    outputs: Sequence[Sequence[Array]],
    tolerance: float,
    exact: bool,
) -> Trouble:
    """Compare the answers to :attr:`Questions.batches` with the reference's.

    Parameters
    ----------
    reference, questions
        Of :func:`ask`.
    outputs
        What the compiled model answers, batch by batch.
    tolerance
        What ordinary samples are allowed; that of outputs of a larger magnitude is their own.
    exact
        Whether answers have to agree; if not, they only have to be finite where the reference's are.
    """
    failed, undecided, broken = [], [], 0
    count = len(questions.finite)
    for asked, found in zip(questions.finite, outputs[:count], strict=True):
        compared = compare([found], [asked.expected], None, (0, 0), "", "", "")
        if compared.broken:
            broken += 1
            failed.append(f"{asked.kind.name} (not finite where the reference is)")
        elif exact and compared.max_difference > max(tolerance, compared.tolerance):
            if _is_undecided(reference, asked, found, tolerance):
                undecided.append(asked.kind.name)
            else:
                failed.append(f"{asked.kind.name} ({_difference(asked, compared)})")
    pairs = zip(questions.other, outputs[count:], strict=True)
    return Trouble(
        tried=tuple(asked.kind.name for asked in questions.finite),
        failed=tuple(failed),
        undecided=tuple(undecided),
        not_taken=questions.not_taken,
        not_finite=tuple(asked.kind.name for asked, found in pairs if not _alike(asked.expected, found)),
        broken=broken,
    )


def _difference(asked: Asked, compared: Parity) -> str:
    text = f"max |Δ| {compared.max_difference:.3g}"
    return f"{text}, {asked.zeros} signs of an exact zero" if asked.zeros else text


def _is_undecided(reference: Reference, asked: Asked, found: Sequence[Array], tolerance: float) -> bool:
    """Tell whether rounding decides for the reference as well, for all samples that disagree."""
    allowed = max(tolerance, tolerance_of([asked.expected]))
    wrong = differences([found], [asked.expected]) > allowed
    doubled = reference.run_double([asked.kind.inputs])
    doubtful = np.zeros(len(wrong), bool) if doubled is None else differences(doubled, [asked.expected]) > allowed
    if (doubtful | ~wrong).all():
        return True
    moved = reference.undecided(asked.kind.inputs, allowed)
    return moved is not None and bool((doubtful | moved | ~wrong).all())


def _alike(expected: Sequence[Array], found: Sequence[Array]) -> bool:
    """Tell whether the same numbers are finite."""
    return all((np.isfinite(a) == np.isfinite(b)).all() for a, b in zip(expected, found, strict=True))
