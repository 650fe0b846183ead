"""The verdict on a compiled model's answers: compared, explained or excused, and tried on what looks for trouble."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from tvm_bnn.front_ends.source import Reference
from tvm_bnn.verifying.explanation import explain
from tvm_bnn.verifying.parity import Parity, compare
from tvm_bnn.verifying.refusal import disagreement
from tvm_bnn.verifying.trouble import Questions, ask, judge
from tvm_bnn.verifying.trouble_report import Trouble

Array = npt.NDArray[Any]
Answers = Sequence[Sequence[Array]]


@dataclasses.dataclass(frozen=True)
class Asked:
    """Inputs, and what the reference answers: in float32, in float64 if it can, and to samples that look for trouble.

    ``inputs`` is what reports call the samples, ``zero_signs`` what the reference counted while it answered them.
    """

    reference: Reference
    inputs: str
    samples: Answers
    expected: Answers
    yardstick: Answers | None
    zero_signs: tuple[int, int]
    questions: Questions

    @property
    def batches(self) -> list[Sequence[Array]]:
        """All inputs, in the order in which :func:`verdict` takes the answers."""
        return [*self.samples, *self.questions.batches]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of it.

    Parameters
    ----------
    parity, trouble
        On ordinary samples, and on those that look for trouble.
    settled
        What the reference answers to the ordinary ones, but for near ties that the compiled model decides otherwise.
    disagreement
        What is wrong; empty if the compiled model may be called the same model.
    """

    parity: Parity
    trouble: Trouble
    settled: Answers
    disagreement: str

    @property
    def is_broken(self) -> bool:
        """Whether anything is not finite where the reference is: that passes with no option."""
        return self.parity.broken + self.trouble.broken > 0


def asked_of(reference: Reference, inputs: str, batches: Answers, doubles: bool = True) -> Asked:
    """Let the reference answer; in float64, too, if ``doubles``."""
    expected = [reference.run(batch) for batch in batches]
    yardstick = reference.run_double(batches) if doubles else None
    zero_signs = reference.zero_signs
    return Asked(reference, inputs, batches, expected, yardstick, zero_signs, ask(reference, batches[0]))


def verdict(asked: Asked, answers: Answers, executed: str, exact: bool = True) -> Verdict:
    """Hold answers to :attr:`Asked.batches` against the reference's.

    Parameters
    ----------
    asked
        Of :func:`asked_of`.
    answers
        What the compiled model answers, batch by batch.
    executed
        ``natively`` or ``under emulation``.
    exact
        Whether the outputs have to agree; False if float layers run on bytes.
    """
    reference, count = asked.reference, len(asked.samples)
    outputs = answers[:count]
    parity = compare(
        outputs,
        asked.expected,
        asked.yardstick,
        asked.zero_signs,
        reference.name,
        asked.inputs,
        executed,
        exact,
    )
    settled = asked.expected
    if exact and parity.agreeing < parity.samples and not parity.broken:
        parity, settled = explain(reference, asked.samples, outputs, asked.expected, asked.yardstick, parity)
    trouble = judge(reference, asked.questions, answers[count:], parity.tolerance, exact)
    return Verdict(parity, trouble, settled, disagreement(parity, trouble))
