"""What every kernel must compute, in NumPy, slowly and plainly: the oracle of the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from schedules.kernels.window import Window

Array = npt.NDArray[Any]


def conv2d(x: Array, weight: Array, window: Window, groups: int = 1) -> Array:
    """Convolve with zero padding.

    Parameters
    ----------
    x
        ``(N, H, W, C)``.
    weight
        ``(O, kernel height, kernel width, C / groups)``.
    window
        Strides, padding and dilation.
    groups
        Divides ``C`` and ``O``.

    Returns
    -------
    ``(N, OH, OW, O)`` of the operands' dtype.
    """
    count, height, width, _ = x.shape
    top, left, bottom, right = window.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    vertical, horizontal = window.axes(height, width)
    outputs, depth = weight.shape[0] // groups, weight.shape[3]
    y = np.zeros((count, vertical.out, horizontal.out, weight.shape[0]), np.result_type(x, weight))
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            i, j = row * window.dilation[0], column * window.dilation[1]
            taps = padded[:, i :: window.strides[0], j :: window.strides[1]][:, : vertical.out, : horizontal.out]
            for group in range(groups):
                out = slice(group * outputs, (group + 1) * outputs)
                signs = taps[..., group * depth : (group + 1) * depth]
                y[..., out] += signs @ weight[out, row, column].T
    return y


def dense(x: Array, weight: Array) -> Array:
    """Multiply ``(..., K)`` by the transpose of ``(O, K)``."""
    return np.asarray(x @ weight.T)


def matmul(a: Array, b: Array) -> Array:
    """Multiply ``(..., M, K)`` by the transpose of ``(..., N, K)``."""
    return np.asarray(a @ b.swapaxes(-1, -2))


def threshold(x: Array, tau: Array, flip: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the bits ``(x >= tau) xor flip``; ``tau`` and ``flip`` are per channel (last axis)."""
    return np.asarray((x >= tau) ^ flip)
