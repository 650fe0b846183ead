"""The binarization methods: one class in one file, and one line in the table below."""

from __future__ import annotations

from experiments.binarizers.abc_net import AbcNet
from experiments.binarizers.bi_per import BiPer
from experiments.binarizers.bi_real import BiReal
from experiments.binarizers.binarizer import Binarizer
from experiments.binarizers.bnn import Bnn
from experiments.binarizers.dorefa import DoReFa
from experiments.binarizers.ebnn import Ebnn
from experiments.binarizers.fda import Fda
from experiments.binarizers.horq import Horq
from experiments.binarizers.ir_net import DirNet, IrNet
from experiments.binarizers.lab import Lab
from experiments.binarizers.lq_nets import LqNets
from experiments.binarizers.pact import Pact
from experiments.binarizers.proxy_bnn import ProxyBnn
from experiments.binarizers.rbnn import Rbnn
from experiments.binarizers.react_net import ReActNet
from experiments.binarizers.real import Float
from experiments.binarizers.recu import ReCU
from experiments.binarizers.sa_bnn import SaBnn
from experiments.binarizers.si_bnn import SiBnn
from experiments.binarizers.weights_only import BinaryConnect, Bwn
from experiments.binarizers.xnor_net import XnorNet
from experiments.binarizers.xnor_plus_plus import XnorPlusPlus
from schedules.errors import UserError

__all__ = ["BINARIZERS", "FLOAT", "PAPER", "Binarizer", "find_binarizer"]

#: Every method; the eight of the BiBench paper come first, in its order.
BINARIZERS: tuple[Binarizer, ...] = (
    Bnn(),
    XnorNet(),
    DoReFa(),
    BiReal(),
    XnorPlusPlus(),
    ReActNet(),
    ReCU(),
    Fda(),
    BinaryConnect(),
    Bwn(),
    Lab(),
    AbcNet(),
    Horq(),
    IrNet(),
    DirNet(),
    Rbnn(),
    SiBnn(),
    SaBnn(),
    BiPer(),
    ProxyBnn(),
    Ebnn(),
    Pact(),
    LqNets(),
)
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
