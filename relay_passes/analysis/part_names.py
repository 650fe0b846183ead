"""How the operators that a layer of the model becomes, or is computed in, are named after it.

Front ends see to it that a layer's own name holds none of these signs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

#: Before the number of the phase of a transposed convolution, or of the slice of a 3-D one.
PHASE = "@"
#: Before the number of the term of a sum that the layer is applied to.
TERM = "+"
#: Before the number of the second and later products of planes.
PART = "~"
#: Between layers that are computed as one.
BESIDE = " | "


def without_signs(name: str) -> str:
    """Return a module's path with underscores where it holds signs that mean something here."""
    return re.sub("[@+~|]", "_", name)


def whole(name: str) -> str:
    """Return the name of the layer in the model that a phase or a term belongs to."""
    return name.split(PHASE, maxsplit=1)[0].split(TERM, maxsplit=1)[0]


def layers_behind(name: str) -> list[str]:
    """Return the names of the layers that are computed as the one of a name."""
    return name.split(BESIDE)


def shares(name: str, sizes: Mapping[str, int]) -> dict[str, Fraction]:
    """Return what part of a kernel belongs to each of the known layers behind its name, by their sizes."""
    behind = [layer for layer in layers_behind(name) if layer in sizes]
    if len(behind) == 1:
        return {behind[0]: Fraction(1)}
    return {layer: Fraction(sizes[layer], sum(sizes[other] for other in behind)) for layer in behind}
