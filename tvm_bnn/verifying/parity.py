"""Hold a compiled model's outputs against PyTorch's.

The binary layers' integers are exact, so what differs is the rounding of the float layers, and where a value next to
zero is rounded to the other side, one sign. Three rules follow:

* An output agrees if it is within ``TOLERANCE`` of the batch's largest magnitude: float32 sums of up to some ten
  thousand terms in another order stay well below that.
* A sample in which a sign flipped does not agree, whoever computes it. PyTorch in float64 shows how often that happens
  to this model anyway: twice that share may disagree, and ``ALWAYS_ALLOWED`` of the samples in any case.
* If more disagree, PyTorch has to repeat them with its own near ties decided otherwise: what it then answers within the
  same tolerance is explained, and does not count.

Float layers that run on bytes compute another model, by choice, and no reference computes the same one. Their kernels
are tested on integers; here only what they do to the outputs can be measured: the relative L2 error, which the report
states, next to how often the prediction is the same. Rounding to bytes changes a layer by about a hundredth, but signs
that flip behind it multiply that, without a bound that holds for every model. Outputs that have nothing to do with each
other are 1 or more apart. Hence the verdict refuses what is beyond ``MOST_RELATIVE_ERROR``: it says that this is still
the same model, not that it is as good, which accuracy on labelled inputs has to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
TOLERANCE = 1e-4
ALWAYS_ALLOWED = 0.05
MOST_RELATIVE_ERROR = 0.5
_MATRIX = 2


class Parity(msgspec.Struct, frozen=True):
    """The verdict of a comparison.

    Parameters
    ----------
    framework
        What was compared with.
    samples
        Compared.
    inputs
        Where they came from.
    executed
        ``natively`` or ``under emulation``.
    max_difference
        Largest absolute difference over all outputs.
    tolerance
        Absolute, for the outputs of these samples.
    agreeing, yardstick_agreeing
        Samples whose outputs are all within tolerance: ours, and PyTorch's own in float64 (None if it cannot).
    argmax_agreement
        Share of samples whose largest output is the same; None if the first output is no ``(batch, classes)``.
    zero_signs, signs
        Exact zeros that reached an activation's sign, of how many values. They count as +1.
    relative_error
        L2 norm of the difference over that of the reference, of the output where it is largest.
    exact
        Whether agreement is asked for; False where float layers run on bytes, by choice.
    explained, near_ties
        Samples that agree once so many decisions next to a tie, in all of them together, fall the other way; looked for
        only where too many disagree.
    """

    framework: str
    samples: int
    inputs: str
    executed: str
    max_difference: float
    tolerance: float
    agreeing: int
    yardstick_agreeing: int | None
    argmax_agreement: float | None
    zero_signs: int
    signs: int
    relative_error: float
    exact: bool = True
    explained: int = 0
    near_ties: int = 0

    @property
    def right(self) -> int:
        """How many samples agree, or are explained."""
        return self.agreeing + self.explained

    @property
    def most_differing(self) -> int:
        """How many samples may disagree without an explanation."""
        excused = 0 if self.yardstick_agreeing is None else 2 * (self.samples - self.yardstick_agreeing)
        return max(math.ceil(ALWAYS_ALLOWED * self.samples), excused)

    @property
    def passed(self) -> bool:
        """Whether the compiled model may be called the same model."""
        if not self.exact:
            return self.relative_error <= MOST_RELATIVE_ERROR
        return self.samples - self.right <= self.most_differing


def compare(
    outputs: Sequence[Sequence[Array]],
    expected: Sequence[Sequence[Array]],
    yardstick: Sequence[Sequence[Array]] | None,
    zero_signs: tuple[int, int],
    framework: str,
    inputs: str,
    executed: str,
    exact: bool = True,
) -> Parity:
    """Compare outputs, a list of arrays for each batch; the first axis of each array counts samples."""
    tolerance = _tolerance(expected)
    ours = differences(outputs, expected)
    theirs = None if yardstick is None else differences(yardstick, expected)
    first = [batch[0] for batch in expected]
    classifies = first[0].ndim == _MATRIX and first[0].shape[1] > 1
    same = [(a[0].argmax(1) == b[0].argmax(1)) for a, b in zip(outputs, expected, strict=True)] if classifies else []
    return Parity(
        framework=framework,
        samples=len(ours),
        inputs=inputs,
        executed=executed,
        max_difference=float(ours.max()),
        tolerance=tolerance,
        agreeing=int((ours <= tolerance).sum()),
        yardstick_agreeing=None if theirs is None else int((theirs <= tolerance).sum()),
        argmax_agreement=float(np.concatenate(same).mean()) if classifies else None,
        zero_signs=zero_signs[0],
        signs=zero_signs[1],
        relative_error=_relative_error(outputs, expected),
        exact=exact,
    )


def permitted(expected: Sequence[Sequence[Array]], yardstick: Sequence[Sequence[Array]] | None) -> tuple[float, float]:
    """Return by how much an output may differ, and the share of samples that may differ by more."""
    tolerance = _tolerance(expected)
    if yardstick is None:
        return tolerance, ALWAYS_ALLOWED
    return tolerance, max(ALWAYS_ALLOWED, 2 * float((differences(yardstick, expected) > tolerance).mean()))


def _tolerance(expected: Sequence[Sequence[Array]]) -> float:
    magnitude: float = max(float(np.abs(array).max(initial=0)) for batch in expected for array in batch)
    return TOLERANCE * max(magnitude, float(np.finfo(np.float32).tiny))


def _relative_error(outputs: Sequence[Sequence[Array]], expected: Sequence[Sequence[Array]]) -> float:
    """Return the largest relative L2 error of an output over all batches; NaN counts as infinite."""
    errors = []
    for index in range(len(expected[0])):
        wanted = np.concatenate([np.ravel(batch[index]) for batch in expected]).astype(np.float64)
        found = np.concatenate([np.ravel(batch[index]) for batch in outputs]).astype(np.float64)
        distance = float(np.linalg.norm(found - wanted))
        errors.append(distance / max(float(np.linalg.norm(wanted)), float(np.finfo(np.float32).tiny)))
    return math.inf if any(math.isnan(error) for error in errors) else max(errors)


def differences(outputs: Sequence[Sequence[Array]], expected: Sequence[Sequence[Array]]) -> Array:
    """Return the largest absolute difference of every sample, ``(N,)``; NaN counts as infinite.

    Where outputs have no first axis in common, a sum over the batch for instance, a batch counts as one sample.
    """
    found = []
    for batch, wanted in zip(outputs, expected, strict=True):
        counts = {b.shape[:1] for b in wanted}
        samples = counts.pop()[0] if len(counts) == 1 and () not in counts else 1
        rows = [
            np.abs(a.astype(np.float64) - b.astype(np.float64)).reshape(samples, -1).max(axis=1, initial=0)
            for a, b in zip(batch, wanted, strict=True)
        ]
        found.append(np.max(rows, axis=0))
    largest = np.concatenate(found)
    return np.where(np.isnan(largest), np.inf, largest)
