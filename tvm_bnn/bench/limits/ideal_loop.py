"""How many instructions a binary layer cannot do without, given its register tile."""

from __future__ import annotations

import dataclasses
import math

from schedules.kernels.binary import bits
from schedules.machines.isa import Isa
from tvm_bnn.bench.workloads import Workload

#: eor, cnt, uadalp.
_A_PRODUCT = 3


@dataclasses.dataclass(frozen=True)
class IdealLoop:
    """The reduction of a layer, and nothing around it.

    A step takes one word of depth into a register tile of ``pixels x vectors`` accumulators: it loads ``vectors``
    weights, broadcasts ``pixels`` words of the input, and does ``pixels * vectors`` products of three instructions.

    Parameters
    ----------
    pixels, vectors
        Of the tile.
    steps
        Tiles of the layer times words under its window.
    """

    pixels: int
    vectors: int
    steps: int

    @property
    def products(self) -> int:
        """Vector products: one eor, one cnt and one uadalp each."""
        return self.steps * self.pixels * self.vectors

    @property
    def instructions(self) -> int:
        """Products, weight loads and broadcasts; no addresses, no loop control, no start, no end."""
        return _A_PRODUCT * self.products + self.steps * (self.pixels + self.vectors)


def ideal_loop(workload: Workload, isa: Isa, pixels: int, vectors: int) -> IdealLoop:
    """Return the ideal loop of a binary layer under a tile of ``pixels x vectors``.

    Words that the depth does not fill and lanes without an output channel count as full: they are lost by the layout,
    not by the loop.
    """
    vertical, horizontal = workload.window.axes(workload.height, workload.width)
    words = math.prod(workload.window.kernel) * bits.words_for(workload.channels // workload.groups, isa.word_bits)
    blocks = workload.groups * math.ceil(workload.outputs // workload.groups / isa.binary_lanes)
    tiles = vertical.out * (horizontal.out // pixels) * (blocks // vectors)
    return IdealLoop(pixels, vectors, tiles * words)
