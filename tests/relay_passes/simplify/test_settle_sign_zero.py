import numpy as np
import pytest
from tvm import relax

from relay_passes.analysis.layers import layers_of
from relay_passes.canonicalize.binarize import binarize
from relay_passes.simplify.settle_sign_zero import settle_sign_zero

WEIGHT = relax.const(np.array([[1, -1, 1, -1]], np.float32).T)
X = np.array([[0, 2, 0, 3]], np.float32)


@pytest.fixture
def module():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(relax.op.matmul(builder.emit(relax.op.sign(x)), WEIGHT))
        builder.emit_func_output(y)
    return builder.get()


@pytest.mark.parametrize(("sign_zero", "planes", "expected"), [("exact", 2, -2), ("plus", 1, 0), ("minus", 1, -4)])
def test_the_sign_of_zero_is_what_the_user_says(module, sign_zero, planes, expected, evaluate):
    settled = settle_sign_zero(module, sign_zero)
    (layer,) = layers_of(settled)
    assert layer.bit_planes == (planes, 1)
    assert layer.is_binary
    assert evaluate(settled, X) == expected
    assert evaluate(binarize(settled), X) == expected


def test_exact_signs_are_left_alone(module):
    assert settle_sign_zero(module, "exact") is module
