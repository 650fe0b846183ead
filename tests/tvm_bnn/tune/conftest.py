import dataclasses

import numpy as np
import pytest
from tvm import te

from schedules.kernels.binary.bitpack import wide
from schedules.kernels.table import BINARY_DENSE
from schedules.machines.isa import PORTABLE
from schedules.machines.target import find_target
from tvm_bnn.tune.runners.runner import Measured, Settled
from tvm_bnn.tune.searching.search import Search
from tvm_bnn.tune.searching.session import Plan
from tvm_bnn.tune.tasks import task_of


@pytest.fixture(scope="session")
def target():
    return find_target("x86-64")


@pytest.fixture(scope="session")
def make_task():
    """Return a function that makes a task of a binary linear layer; it runs here if it is for PORTABLE."""

    def make(rows=12, channels=24, depth=256, isa=PORTABLE):
        words, lanes = depth // isa.word_bits, isa.binary_lanes
        tensors = [
            te.placeholder(wide((rows, words)), isa.word_dtype),
            te.placeholder(wide((channels // lanes, words, lanes)), isa.word_dtype),
        ]
        return task_of(te.create_prim_func([*tensors, BINARY_DENSE.meaning(*tensors, channels, depth)]), isa)

    return make


@pytest.fixture(scope="session")
def task(make_task):
    return make_task()


@dataclasses.dataclass
class PretendedRunner:
    """Measures nothing: the time of a candidate is made up from its trace."""

    wrong: str = ""
    failing: str = ""
    kind: str = "measured"
    device: str = "made up"
    threads: int = 1
    measured: list = dataclasses.field(default_factory=list)

    def measure(self, task, modules):
        self.measured += [module.script() for module in modules]
        return [
            Measured(self.seconds(module)) if not self.fails(module) else Measured((), "crashed") for module in modules
        ]

    def settle(self, task, modules):
        return [
            Settled(False, 0.0, "wrong")
            if self.wrong and self.wrong == module.script()
            else Settled(True, self.seconds(module)[0])
            for module in modules
        ]

    def fails(self, module):
        return bool(self.failing) and self.failing == module.script()

    def seconds(self, module):
        text = module.script()
        return (1e-6 if text == self.wrong else 2e-6 + sum(text.encode()) % 1000 * 1e-9,)


@pytest.fixture
def pretended():
    return PretendedRunner


@pytest.fixture
def plan(target, tmp_path):
    return Plan(target, tmp_path / "log" / "x86-64", 24)


@pytest.fixture
def candidates(task, target):
    import tvm

    search = Search(task, tvm.target.Target({**target.tvm, "num-cores": 1}))
    return search.propose(6)


@pytest.fixture
def calling():
    """Return a function that makes a kernel of a candidate's parameters which does nothing but call the C library."""
    import tvm
    from tvm import tirx

    def make(module, name, *arguments):
        call = tirx.Evaluate(tirx.call_extern("int64", name, *(tirx.const(each, "int64") for each in arguments)))
        return tvm.IRModule({"main": module["main"].with_body(call)})

    return make


@pytest.fixture
def hanging(calling):
    """Return a kernel that waits for ever, in place of a candidate."""
    return lambda module: calling(module, "pause")


@pytest.fixture
def crashing(calling):
    """Return a kernel that reads at address 0, in place of a candidate."""
    return lambda module: calling(module, "strlen", 0)


@pytest.fixture
def wrong():
    """Return a function that makes a kernel whose depth is one short."""
    import tvm
    import tvm_ffi
    from tvm import tirx

    def make(module):
        depth = (tirx.IntImm, lambda number: tirx.IntImm(number.ty, 255) if number.value == 256 else number)
        return tvm.IRModule({"main": tvm_ffi.structural_map(module["main"], depth)})

    return make


@pytest.fixture
def random():
    return np.random.default_rng(0)
