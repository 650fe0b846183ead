"""What tests of passes share: comparing modules, and running them as they stand."""

import numpy as np
import pytest
import tvm
from tvm import relax

from relay_passes.lower import lower


@pytest.fixture
def expect():
    """Assert that a pass turns one module into another, constants included."""

    def check(transform, before, expected):
        after = transform(before)
        relax.analysis.well_formed(after)
        tvm.ir.assert_structural_equal(after, expected)

    return check


@pytest.fixture
def evaluate():
    """Run ``main`` of a module, lowered but not scheduled."""

    def run(module, *inputs):
        executable = relax.build(lower.lower(module), target="llvm")
        machine = relax.VirtualMachine(executable, tvm.cpu())
        result = machine["main"](*(tvm.runtime.tensor(np.ascontiguousarray(value)) for value in inputs))
        return result.numpy()

    return run
