"""How the operators that a layer of the model becomes, or is computed in, are named after it.

A module's path holds none of these signs.
"""

from __future__ import annotations

#: Before the number of the phase of a transposed convolution, or of the slice of a 3-D one.
PHASE = "@"
#: Before the number of the term of a sum that the layer is applied to.
TERM = "+"
#: Before the number of the second and later products of planes.
PART = "~"
#: Between layers that are computed as one.
BESIDE = " | "


def whole(name: str) -> str:
    """Return the name of the layer in the model that a phase or a term belongs to."""
    return name.split(PHASE, maxsplit=1)[0].split(TERM, maxsplit=1)[0]


def layers_behind(name: str) -> list[str]:
    """Return the names of the layers that are computed as the one of a name."""
    return name.split(BESIDE)
