"""How the taps of a row are taken for :mod:`schedules.kernels.floats.winograd`, and the weights that this makes."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from schedules.kernels.floats.image_rows import whole_vectors
from schedules.kernels.window import Axis

#: Of one filter whose outputs share products.
TAPS = 3


@dataclasses.dataclass(frozen=True)
class Taps:
    """How the taps of a row are taken.

    Parameters
    ----------
    triples
        First taps of three that are ``stride`` apart.
    single
        Those left over.
    stride
        From one output to the next.
    """

    triples: tuple[int, ...]
    single: tuple[int, ...]
    stride: int

    @property
    def shared(self) -> int:
        """Terms of the first sum, for each channel."""
        return len(self.triples)

    @property
    def terms(self) -> int:
        """Terms of both sums, for each channel."""
        return 2 * len(self.triples) + len(self.single)

    @property
    def saving(self) -> float:
        """Products of the plain sum for each of this one."""
        return (TAPS * len(self.triples) + len(self.single)) / self.terms


def taps_of(kernel: int, stride: int) -> Taps:
    """Return how a row of ``kernel`` taps without dilation is taken."""
    triples: list[int] = []
    single: list[int] = []
    for phase in range(min(stride, kernel)):
        mine = range(phase, kernel, stride)
        whole = len(mine) - len(mine) % TAPS
        triples += mine[:whole:TAPS]
        single += mine[whole:]
    return Taps(tuple(triples), tuple(single), stride)


def row_length(axis: Axis) -> int:
    """Return how many columns a row of the transformed input has: the outputs', in whole vectors."""
    return whole_vectors(axis.out)


def weights(weight: npt.NDArray[np.float32], taps: Taps, lanes: int) -> npt.NDArray[np.float32]:
    """Lay weights out for the kernel.

    Parameters
    ----------
    weight
        ``(O, kernel height, kernel width, C)``.
    taps
        Of a row.
    lanes
        Output channels a vector.

    Returns
    -------
    ``(blocks, kernel height, terms * C, 2, lanes)``: those of the even and of the odd output of a pair.
    """
    columns = weight.astype(np.float64).transpose(2, 0, 1, 3)
    pairs = [*(_shared_weights(columns, first, taps.stride) for first in taps.triples)]
    pairs += [(columns[first], columns[first + 2 * taps.stride]) for first in taps.triples]
    pairs += [(columns[tap], columns[tap]) for tap in taps.single]
    # (terms, 2, O, kernel height, C)
    laid = np.stack([np.stack(pair) for pair in pairs]).astype(np.float32)
    laid = np.pad(laid, ((0, 0), (0, 0), (0, -len(weight) % lanes), (0, 0), (0, 0)))
    terms, _, channels, height, depth = laid.shape
    split = laid.reshape(terms, 2, channels // lanes, lanes, height, depth).transpose(2, 4, 0, 5, 1, 3)
    return np.ascontiguousarray(split.reshape(channels // lanes, height, terms * depth, 2, lanes))


def _shared_weights(
    columns: npt.NDArray[np.float64], first: int, stride: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    low, middle, high = (columns[first + tap * stride] for tap in range(TAPS))
    return (low + middle + high) / 2, (low - middle + high) / 2
