"""Real inputs to verify on, and what has to be true of them before anything is compiled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schedules.errors import UserError
from tvm_bnn.artifacts.artifact import TensorSpec

Array = npt.NDArray[Any]
_MATRIX = 2


@dataclasses.dataclass(frozen=True)
class Samples:
    """Real inputs to verify on.

    Parameters
    ----------
    arrays
        One ``(N, ...)`` array for each input of the model; N is a multiple of the model's batch.
    source
        What reports call them.
    labels
        ``(N,)`` integers, with which reports give the compiled model's accuracy; or None.
    names
        Of the arrays, if they have any.
    """

    arrays: tuple[Array, ...]
    source: str
    labels: Array | None = None
    names: tuple[str, ...] = ()

    def fitted(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Samples:
        """Return the samples in the order of a model's inputs.

        Raises
        ------
        UserError
            If they do not fit: by name, number, shape, type or value.
        """
        ordered = self._in_order([spec.name for spec in inputs])
        ordered._refuse_misfits(inputs)
        ordered._refuse_not_finite(inputs)
        if ordered.labels is not None:
            ordered._refuse_labels(ordered.labels, outputs)
        return ordered

    def _in_order(self, wanted: list[str]) -> Samples:
        """Order arrays that have the inputs' names by them; others are in order already."""
        if len(self.arrays) != len(wanted):
            raise UserError(f"inputs {self.source}: {len(self.arrays)} arrays; the model takes {len(wanted)}")
        matching = [name for name in self.names if name in wanted]
        if not matching or len(wanted) == 1:
            return self
        if sorted(self.names) != sorted(wanted):
            unknown = ", ".join(f"'{name}'" for name in self.names if name not in wanted)
            raise UserError(
                f"inputs {self.source}: the model has no input {unknown}; it takes {', '.join(map(repr, wanted))}"
            )
        by_name = dict(zip(self.names, self.arrays, strict=True))
        return dataclasses.replace(self, arrays=tuple(by_name[name] for name in wanted), names=tuple(wanted))

    def _refuse_misfits(self, specs: Sequence[TensorSpec]) -> None:
        for array, spec in zip(self.arrays, specs, strict=True):
            if not spec.shape:
                raise UserError(f"inputs {self.source}: '{spec.name}' is a scalar, so it cannot hold several samples")
            if array.ndim != len(spec.shape) or array.shape[1:] != spec.shape[1:] or len(array) % spec.shape[0]:
                raise UserError(
                    f"inputs {self.source}: shape {array.shape} for '{spec.name}'; expected (N, "
                    f"{', '.join(map(str, spec.shape[1:]))}) with N a multiple of {spec.shape[0]}"
                )
            if array.dtype.name != spec.dtype:
                raise UserError(
                    f"inputs {self.source}: dtype {array.dtype.name} for '{spec.name}'; expected {spec.dtype}"
                )
        count = len(self.arrays[0]) // specs[0].shape[0]
        if not count or any(
            len(array) // spec.shape[0] != count for array, spec in zip(self.arrays, specs, strict=True)
        ):
            raise UserError(f"inputs {self.source}: the arrays hold different numbers of batches, or none")

    def _refuse_not_finite(self, specs: Sequence[TensorSpec]) -> None:
        for array, spec in zip(self.arrays, specs, strict=True):
            if array.dtype.kind != "f":
                continue
            bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            if bad.any():
                raise UserError(
                    f"inputs {self.source}: {int(bad.sum())} of {len(array)} samples for '{spec.name}' hold NaN or "
                    f"infinity, the first is number {int(bad.argmax())}; leave them out, as nothing is compared there"
                )

    def _refuse_labels(self, labels: Array, outputs: Sequence[TensorSpec]) -> None:
        count = len(self.arrays[0])
        if labels.shape != (count,):
            raise UserError(
                f"inputs {self.source}: labels of shape {labels.shape} for {count} samples; expected ({count},)"
            )
        if labels.dtype.kind not in "iu":
            raise UserError(
                f"inputs {self.source}: labels are {labels.dtype.name}; expected the classes' numbers, as integers"
            )
        scores = outputs[0]
        if len(scores.shape) != _MATRIX:
            raise UserError(
                f"inputs {self.source}: labels are for a model with an output (N, classes); the first of this one has "
                f"shape {scores.shape}: leave them out"
            )
        outside = (labels < 0) | (labels >= scores.shape[1])
        if outside.any():
            raise UserError(
                f"inputs {self.source}: label {labels[outside][0]} is none of the model's {scores.shape[1]} classes"
            )
