"""The binarization methods of the benchmark, in one table."""

from __future__ import annotations

from experiments.binarizers.gradient_error.bi_per import BiPer
from experiments.binarizers.gradient_error.bi_real import BiReal
from experiments.binarizers.gradient_error.fda import Fda
from experiments.binarizers.gradient_error.ir_net import DirNet, IrNet
from experiments.binarizers.gradient_error.react_net import ReActNet
from experiments.binarizers.gradient_error.recu import ReCU
from experiments.binarizers.gradient_error.sa_bnn import SaBnn
from experiments.binarizers.gradient_error.si_bnn import SiBnn
from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.plain.bnn import Bnn
from experiments.binarizers.plain.dorefa import DoReFa
from experiments.binarizers.plain.real import Float
from experiments.binarizers.quantization_error.abc_net import AbcNet
from experiments.binarizers.quantization_error.ebnn import Ebnn
from experiments.binarizers.quantization_error.horq import Horq
from experiments.binarizers.quantization_error.lab import Lab
from experiments.binarizers.quantization_error.lq_nets import LqNets
from experiments.binarizers.quantization_error.pact import Pact
from experiments.binarizers.quantization_error.proxy_bnn import ProxyBnn
from experiments.binarizers.quantization_error.rbnn import Rbnn
from experiments.binarizers.quantization_error.weights_only import BinaryConnect, Bwn
from experiments.binarizers.quantization_error.xnor_net import XnorNet
from experiments.binarizers.quantization_error.xnor_plus_plus import XnorPlusPlus
from schedules.errors import UserError

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
