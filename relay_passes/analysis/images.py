"""Images as models take them: a plane a channel, a few of them."""

from __future__ import annotations

from relay_passes.rewrite import Expr, op_name

#: A layer of more channels reads them as vectors.
MOST_PLANES = 4
TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


def planes_behind(made: Expr) -> Expr | None:
    """Return the NCHW tensor that a value is the NHWC transposition of, None if it is none."""
    if op_name(made) == "relax.permute_dims" and [int(axis) for axis in made.attrs.axes] == TO_NHWC:
        return made.args[0]
    return None
