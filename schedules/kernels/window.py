"""The geometry of a sliding window: output sizes, and which taps fall on padding where."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Axis:
    """One spatial axis of a convolution: everything in elements, ``before`` and ``after`` are the padding."""

    size: int
    kernel: int
    stride: int
    before: int
    after: int
    dilation: int

    @property
    def out(self) -> int:
        """The number of output positions."""
        return (self.size + self.before + self.after - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    def valid_taps(self) -> npt.NDArray[np.bool_]:
        """Return ``(out, kernel)``: True where a tap reads the input, False where it reads padding."""
        position = np.arange(self.out)[:, None] * self.stride - self.before
        tap = position + np.arange(self.kernel)[None] * self.dilation
        valid: npt.NDArray[np.bool_] = np.logical_and(tap >= 0, tap < self.size)
        return valid

    @property
    def clipped(self) -> tuple[int, int] | None:
        """Output positions at the start and at the end whose window overlaps padding; None if the two meet."""
        whole = np.asarray(self.valid_taps().all(axis=1))
        if not whole.any():
            return None
        inside = np.flatnonzero(whole)
        lead, trail = int(inside[0]), self.out - 1 - int(inside[-1])
        return (lead, trail) if lead + trail < self.out and whole[lead : self.out - trail].all() else None

    @property
    def border_classes(self) -> int:
        """Number of distinct kinds of output position: one for the inside, one for each clipped position."""
        return self.out if self.clipped is None else sum(self.clipped) + 1

    def class_positions(self) -> npt.NDArray[np.intp]:
        """Return one output position of each border class, in the order of the classes."""
        if self.clipped is None:
            return np.arange(self.out)
        lead, trail = self.clipped
        return np.concatenate([np.arange(lead + 1), np.arange(self.out - trail, self.out)])


@dataclasses.dataclass(frozen=True)
class Window:
    """A 2-D convolution's window over an NHWC tensor; ``padding`` is (top, left, bottom, right)."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    def axes(self, height: int, width: int) -> tuple[Axis, Axis]:
        """Return the vertical and the horizontal axis for an input of that size."""
        top, left, bottom, right = self.padding
        vertical = Axis(height, self.kernel[0], self.strides[0], top, bottom, self.dilation[0])
        horizontal = Axis(width, self.kernel[1], self.strides[1], left, right, self.dilation[1])
        return vertical, horizontal
