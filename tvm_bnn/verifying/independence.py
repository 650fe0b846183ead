"""Whether the samples of a batch are answered each by itself: only then may several batches run one after the other.

A graph does not show it where a batch of one was written into its shapes, so the model is asked: rows in another order
have the same answers in that order, other neighbours change nothing, and two batches at once are two batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tvm_bnn.artifacts.artifact import TensorSpec
from tvm_bnn.front_ends.source import Array, Reference
from tvm_bnn.verifying.parity import TOLERANCE
from tvm_bnn.verifying.samples import Samples

_SEED = 0
_BRIGHT = 256

_Run = Callable[[Sequence[Array]], Sequence[Array] | None]


def are_independent(
    reference: Reference, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], samples: Samples | None
) -> bool:
    """Tell whether every sample's answer depends on that sample alone, as far as the model itself shows.

    Parameters
    ----------
    reference
        The model as it was given.
    inputs, outputs
        Its tensors; False if they do not all have the same first extent.
    samples
        Of the user, or None: integers are taken from there, or from what came with the model.
    """
    extents = {spec.shape[0] if spec.shape else None for spec in (*inputs, *outputs)}
    batch = extents.pop()
    if extents or batch is None:
        return False
    generator = np.random.default_rng(_SEED)
    known = samples.arrays if samples is not None else reference.examples
    if known is None and not any(spec.dtype == "float32" for spec in inputs):
        return False
    # Behind signs there are few values, so one draw may agree by chance.
    for is_bright in (False, False, True):
        drawn = [
            [
                _drawn(spec, None if known is None else known[index], 2 * batch, is_bright, generator)
                for index, spec in enumerate(inputs)
            ]
            for _ in range(2)
        ]
        if not _is_independent_on(reference, drawn, batch):
            return False
    return True


def _drawn(spec: TensorSpec, known: Array | None, rows: int, is_bright: bool, generator: np.random.Generator) -> Array:
    """Return so many rows of an input: noise, or whole numbers as in pictures; of integers those that are known."""
    shape = (rows, *spec.shape[1:])
    if spec.dtype == "float32":
        if is_bright:
            return generator.integers(0, _BRIGHT, shape).astype(np.float32)
        return generator.standard_normal(shape, np.float32)
    if known is None or not known.size:
        return np.zeros(shape, spec.dtype)
    return generator.choice(known.ravel(), shape).astype(spec.dtype)


def _is_independent_on(reference: Reference, drawn: Sequence[Sequence[Array]], batch: int) -> bool:
    one, other = drawn
    if reference.joined(one) is not None:
        # In float64 where float32 says no: in another place of a batch, a sum may be rounded otherwise.
        return any(_holds(run, one, other, batch) for run in (reference.joined, lambda x: reference.joined(x, True)))
    if batch == 1:
        # The model takes one sample at a time, so that is what several samples mean.
        return True
    first, second = ([value[:batch] for value in each] for each in drawn)
    return _holds(reference.run, first, second, batch)


def _holds(run: _Run, one: Sequence[Array], other: Sequence[Array], batch: int) -> bool:
    rows = len(one[0])
    half = rows // 2
    answers = run(one)
    turned = run([value[::-1].copy() for value in one])
    mixed = run([np.concatenate([a[:half], b[half:]]) for a, b in zip(one, other, strict=True)])
    if answers is None or turned is None or mixed is None or any(len(each) != rows for each in answers):
        return False
    same = _agree(answers, [value[::-1] for value in turned])
    same = same and _agree([value[:half] for value in answers], [value[:half] for value in mixed])
    if rows == batch or not same:
        return same
    first = run([value[:batch] for value in one])
    return first is not None and _agree([value[:batch] for value in answers], first)


def _agree(one: Sequence[Array], other: Sequence[Array]) -> bool:
    for a, b in zip(one, other, strict=True):
        if a.shape != b.shape:
            return False
        wide = [np.nan_to_num(value.astype(np.float64)) for value in (a, b)]
        if (np.abs(wide[0] - wide[1]) > TOLERANCE * np.abs(wide[0]).max(initial=0)).any():
            return False
    return True
