"""Bilinear interpolation that rounds as PyTorch's does.

Behind it may stand a sign, and where binary layers stand before it, values of opposite sign meet under mirrored
weights: they cancel, or leave a remainder that decides the sign. So the four products are added in the order of
PyTorch's vectorised kernel, each with one rounding where the processor can; two in five of TVM's differ by a bit.
"""

from __future__ import annotations

from tvm import te, tirx
from tvm.ir import Expr as Index

#: Where the rows of an image are.
LAYOUTS = {"NHWC": 1, "NCHW": 2}


def resize_linear(x: te.Tensor, size: tuple[int, int], layout: str) -> te.Tensor:
    """Interpolate float32 images, pixels' centres at half (``align_corners=False``).

    Parameters
    ----------
    x
        Of rank 4.
    size
        New height and width.
    layout
        A key of ``LAYOUTS``.

    Returns
    -------
    The same layout, with ``size``.
    """
    axis = LAYOUTS[layout]
    height, width = (int(extent) for extent in x.shape[axis : axis + 2])

    def value(*index: Index) -> Index:
        before, (i, j), behind = index[:axis], index[axis : axis + 2], index[axis + 2 :]
        top, bottom, upper, lower = _between(i, height, size[0])
        left, right, near, far = _between(j, width, size[1])
        total = x[(*before, bottom, left, *behind)] * (lower * near)
        for row, column, weight in (
            (bottom, right, lower * far),
            (top, right, upper * far),
            (top, left, upper * near),
        ):
            pixel = x[(*before, row, column, *behind)]
            total = tirx.call_llvm_pure_intrin("float32", "llvm.fmuladd", pixel, weight, total)
        return total

    return te.compute((*x.shape[:axis], *size, *x.shape[axis + 2 :]), value, name="resize")


def _between(position: Index, extent: int, out: int) -> tuple[Index, Index, Index, Index]:
    """Return the two pixels that an output lies between, and their weights."""
    centre = (position.astype("float32") + 0.5) * tirx.const(extent / out, "float32") - 0.5
    source = tirx.max(centre, tirx.const(0, "float32"))
    first = tirx.Cast("int64", source)
    share = source - first.astype("float32")
    return first, tirx.min(first + 1, extent - 1), 1 - share, share
