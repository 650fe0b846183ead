"""Hold a compiled model's outputs against its reference's.

The binary layers' integers are exact, so what differs is the rounding of the float layers, and where a value next to
zero is rounded to the other side, one sign. These rules follow:

* An output agrees if it is within ``TOLERANCE`` of the batch's largest magnitude: float32 sums of up to some ten
  thousand terms in another order stay well below that.
* A sample in which a sign flipped does not agree, whoever computes it. The reference then repeats it with its own near
  ties decided otherwise: what it answers within the same tolerance is explained.
* What is not explained can only be excused if rounding may have decided it: if the reference in float64 disagrees with
  itself in float32 on that batch, or something in it is near a tie (where the reference can tell). ``ALWAYS_ALLOWED``
  of the samples may be excused, and for models that are that sensitive twice the share on which float64 disagrees;
  never more than ``MOST_EXCUSED``: an output that is anything at all must not pass because the model is delicate.
* An output that is not finite where the reference's is fails, whatever else agrees.

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
MOST_EXCUSED = 0.25
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
    broken
        Samples with an output that is not finite where the reference's is.
    inexcusable
        Samples that disagree though nothing in them was near a tie.
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
    broken: int = 0
    inexcusable: int = 0

    @property
    def right(self) -> int:
        """How many samples agree, or are explained."""
        return self.agreeing + self.explained

    @property
    def excused(self) -> int:
        """How many samples neither agree nor are explained."""
        return self.samples - self.right

    @property
    def most_differing(self) -> int:
        """How many samples may disagree without an explanation."""
        doubtful = 0 if self.yardstick_agreeing is None else self.samples - self.yardstick_agreeing
        return _most_excused(doubtful, self.samples)

    @property
    def passed(self) -> bool:
        """Whether the compiled model may be called the same model."""
        if self.broken:
            return False
        if not self.exact:
            return self.relative_error <= MOST_RELATIVE_ERROR
        return self.excused <= self.most_differing and not self.inexcusable


def _most_excused(doubtful: int, samples: int) -> int:
    """Return how many samples may disagree where float64 disagrees on so many."""
    return max(math.ceil(ALWAYS_ALLOWED * samples), min(2 * doubtful, math.floor(MOST_EXCUSED * samples)))


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
    tolerance = tolerance_of(expected)
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
        broken=int(np.concatenate([_broken(*pair) for pair in zip(outputs, expected, strict=True)]).sum()),
    )


def permitted(expected: Sequence[Sequence[Array]], yardstick: Sequence[Sequence[Array]] | None) -> tuple[float, float]:
    """Return by how much an output may differ, and the share of samples that may differ by more."""
    tolerance = tolerance_of(expected)
    share = 0.0 if yardstick is None else 2 * float((differences(yardstick, expected) > tolerance).mean())
    return tolerance, max(ALWAYS_ALLOWED, min(share, MOST_EXCUSED))


def tolerance_of(expected: Sequence[Sequence[Array]]) -> float:
    """Return by how much an output may differ: a share of the largest number among those of the reference."""
    finite = [np.where(np.isfinite(array), np.abs(array), 0) for batch in expected for array in batch]
    return TOLERANCE * max(*(float(array.max(initial=0)) for array in finite), float(np.finfo(np.float32).tiny))


def _relative_error(outputs: Sequence[Sequence[Array]], expected: Sequence[Sequence[Array]]) -> float:
    """Return the largest relative L2 error of an output over all batches; infinite where one side alone is finite."""
    errors = []
    for index in range(len(expected[0])):
        wanted = np.concatenate([np.ravel(batch[index]) for batch in expected]).astype(np.float64)
        found = np.concatenate([np.ravel(batch[index]) for batch in outputs]).astype(np.float64)
        size = float(np.linalg.norm(wanted[np.isfinite(wanted)]))
        errors.append(float(np.linalg.norm(_apart(found, wanted))) / max(size, float(np.finfo(np.float32).tiny)))
    return max(errors)


def differences(outputs: Sequence[Sequence[Array]], expected: Sequence[Sequence[Array]]) -> Array:
    """Return the largest absolute difference of every sample, ``(N,)``; NaN differs infinitely from all but NaN.

    Where outputs have no first axis in common, a sum over the batch for instance, a batch counts as one sample.
    """
    found = []
    for batch, wanted in zip(outputs, expected, strict=True):
        rows = [_largest(_apart(a, b), _samples(wanted)) for a, b in zip(batch, wanted, strict=True)]
        found.append(np.max(rows, axis=0))
    return np.concatenate(found)


def _apart(a: Array, b: Array) -> Array:
    """Return absolute differences; 0 between two NaN, or the same infinity."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(a.astype(np.float64) - b.astype(np.float64))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart: Array = np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))
    return apart


def _broken(batch: Sequence[Array], wanted: Sequence[Array]) -> Array:
    """Tell of every sample whether an output is not finite where the reference's is, ``(N,)``."""
    samples = _samples(wanted)
    rows = [_largest(np.isfinite(b) & ~np.isfinite(a), samples) for a, b in zip(batch, wanted, strict=True)]
    return np.asarray(np.max(rows, axis=0) > 0)


def _samples(outputs: Sequence[Array]) -> int:
    """Return how many samples a batch counts as: what its outputs have first in common, else one."""
    counts = {output.shape[:1] for output in outputs}
    return counts.pop()[0] if len(counts) == 1 and () not in counts else 1


def _largest(values: Array, samples: int) -> Array:
    return np.asarray(values.reshape(samples, -1).max(axis=1, initial=0))
