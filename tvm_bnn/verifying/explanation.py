"""Samples that disagree with the reference, explained by its own near ties where they can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from tvm_bnn.front_ends.source import Array, Reference
from tvm_bnn.verifying.parity import Parity, differences

Answers: TypeAlias = Sequence[Sequence[Array]]


def explain(
    reference: Reference, batches: Answers, outputs: Answers, expected: Answers, parity: Parity
) -> tuple[Parity, Answers]:
    """Let the reference repeat batches that disagree, until so many are left unexplained that the verdict stands.

    Parameters
    ----------
    reference
        Runs the model as it was given.
    batches, outputs, expected
        Inputs, what the compiled model answers, and what the reference does.
    parity
        The verdict so far.

    Returns
    -------
    The verdict with what is explained, and ``expected`` with the explained answers in place of the reference's first.
    """
    settled, left = list(expected), 0
    for index, (batch, found) in enumerate(zip(batches, outputs, strict=True)):
        disagreeing = int((differences([found], [expected[index]]) > parity.tolerance).sum())
        if not disagreeing:
            continue
        explanation = reference.explain(batch, found, parity.tolerance)
        if explanation is None:
            left += disagreeing
            if left > parity.most_differing:
                break
            continue
        settled[index] = explanation.answers
        parity = msgspec.structs.replace(
            parity,
            explained=parity.explained + disagreeing,
            near_ties=parity.near_ties + explanation.decisions,
        )
    return parity, settled
