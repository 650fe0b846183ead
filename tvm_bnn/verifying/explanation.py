"""Samples that disagree with the reference: explained by its own near ties, excused by its doubts, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from tvm_bnn.front_ends.source import Array, Reference
from tvm_bnn.verifying.parity import Parity, differences

Answers: TypeAlias = Sequence[Sequence[Array]]


def explain(
    reference: Reference,
    batches: Answers,
    outputs: Answers,
    expected: Answers,
    yardstick: Answers | None,
    parity: Parity,
) -> tuple[Parity, Answers]:
    """Let the reference repeat batches that disagree, until so many are left unexplained that the verdict stands.

    Where so few disagree that all may be excused, and rounding may have decided about each of them, nothing has to be
    explained, which can take long.

    Parameters
    ----------
    reference
        Runs the model as it was given.
    batches, outputs, expected
        Inputs, what the compiled model answers, and what the reference does.
    yardstick
        What the reference answers in float64; None if it cannot.
    parity
        The verdict so far.

    Returns
    -------
    The verdict with what is explained, and ``expected`` with the explained answers in place of the reference's first.
    """
    settled, left = list(expected), 0
    too_many = not parity.passed
    for index, (batch, found) in enumerate(zip(batches, outputs, strict=True)):
        wrong = _disagreeing(found, expected[index], parity.tolerance)
        if not wrong.any():
            continue
        disagreeing = int(wrong.sum())
        doubled = None if yardstick is None else yardstick[index]
        inexcusable = int((wrong & ~_excusable(reference, batch, doubled, expected[index], parity.tolerance)).sum())
        if too_many or inexcusable:
            explanation = reference.explain(batch, found, parity.tolerance)
            if explanation is not None:
                settled[index] = explanation.answers
                parity = msgspec.structs.replace(
                    parity,
                    explained=parity.explained + disagreeing,
                    near_ties=parity.near_ties + explanation.decisions,
                )
                continue
        left += disagreeing
        parity = msgspec.structs.replace(parity, inexcusable=parity.inexcusable + inexcusable)
        if left > parity.most_differing or parity.inexcusable:
            break
    return parity, settled


def _disagreeing(found: Sequence[Array], wanted: Sequence[Array], tolerance: float) -> Array:
    return differences([found], [wanted]) > tolerance


def _excusable(
    reference: Reference,
    batch: Sequence[Array],
    doubled: Sequence[Array] | None,
    wanted: Sequence[Array],
    tolerance: float,
) -> Array:
    """Tell of each sample of a batch whether the reference itself is undecided about it, ``(N,)``."""
    moves = reference.undecided(batch, tolerance)
    if moves is None:
        return np.ones(len(wanted[0]), bool)
    return moves if doubled is None else moves | _disagreeing(doubled, wanted, tolerance)
