"""The binarization methods: one class in one file, and one line in the table below."""

from __future__ import annotations

from experiments.binarizers.bi_real import BiReal
from experiments.binarizers.binarizer import Binarizer
from experiments.binarizers.bnn import Bnn
from experiments.binarizers.dorefa import DoReFa
from experiments.binarizers.fda import Fda
from experiments.binarizers.react_net import ReActNet
from experiments.binarizers.real import Float
from experiments.binarizers.recu import ReCU
from experiments.binarizers.xnor_net import XnorNet
from experiments.binarizers.xnor_plus_plus import XnorPlusPlus
from schedules.errors import UserError

__all__ = ["BINARIZERS", "FLOAT", "PAPER", "Binarizer", "find_binarizer"]

#: Every method; the eight of the BiBench paper come first, in its order.
BINARIZERS: tuple[Binarizer, ...] = (Bnn(), XnorNet(), DoReFa(), BiReal(), XnorPlusPlus(), ReActNet(), ReCU(), Fda())
#: The names of BiBench's eight.
PAPER: tuple[str, ...] = tuple(binarizer.name for binarizer in BINARIZERS[:8])
#: The reference: ordinary layers.
FLOAT: Binarizer = Float()


def find_binarizer(name: str) -> Binarizer:
    """Return the method of that name, ``float`` included.

    Raises
    ------
    UserError
        If there is none.
    """
    for binarizer in (*BINARIZERS, FLOAT):
        if binarizer.name == name:
            return binarizer
    known = ", ".join(binarizer.name for binarizer in (*BINARIZERS, FLOAT))
    raise UserError(f"binarizer '{name}': not known; there are {known}")
