import numpy as np
import pytest
import tvm

from relay_passes.pack.pack_layers import block_channels
from schedules.choice import schedule_function
from schedules.kernels.floats import planes
from schedules.kernels.table import FLOAT_CONV2D
from schedules.kernels.window import Window
from schedules.lowering import stack
from schedules.machines.isa import AVX512_VPOPCNTDQ, ISAS
from schedules.tuned import space
from schedules.tuned.workload import layer_of

BROADCASTING = [isa for isa in ISAS if isa.broadcasts_from_memory]
# (height, width, channels in, channels out, window)
CONVOLUTIONS = [
    (16, 16, 3, 32, Window((3, 3), (2, 2), (1, 1, 1, 1))),
    (11, 37, 1, 21, Window((3, 3), (2, 2), (1, 1, 1, 1))),
    (9, 17, 4, 16, Window((5, 3), (1, 1), (2, 17, 0, 33))),
    (12, 20, 3, 5, Window((4, 4), (4, 4))),
    (13, 9, 2, 33, Window((3, 3), dilation=(2, 2), padding=(2, 2, 2, 2))),
]


def unscheduled(shape, isa, values):
    height, width, depth, channels, window = shape
    x, weight = values((2, depth, height, width)), values((channels, *window.kernel, depth))
    blocked = np.ascontiguousarray(block_channels(weight, isa.float_lanes))
    expected = FLOAT_CONV2D.reference(x.transpose(0, 2, 3, 1), weight, window)
    return planes.conv2d(x.shape, blocked.shape, window, channels), [x, blocked], expected


def integers(shape):
    # Sums of small integers are exact in any order.
    return np.random.default_rng(0).integers(-8, 9, shape).astype(np.float32)


@pytest.mark.parametrize("isa", BROADCASTING, ids=lambda isa: isa.name)
@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_images_are_convolved_as_they_come(isa, shape):
    function, arrays, expected = unscheduled(shape, isa, integers)
    scheduled, choice = schedule_function(function, isa)
    assert choice.kernel == "conv2d"
    result = tvm.runtime.tensor(np.full(expected.shape, 77, np.float32))
    library = tvm.compile(scheduled.with_attr("global_symbol", "main"), target="llvm", tir_pipeline=stack.PIPELINE)
    library["main"](*map(tvm.runtime.tensor, arrays), result)
    np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.parametrize("isa", BROADCASTING, ids=lambda isa: isa.name)
def test_the_default_schedule_is_a_point_of_the_space(isa):
    function, *_ = unscheduled(CONVOLUTIONS[0], isa, integers)
    point = space.default_point(function, isa)
    tvm.ir.assert_structural_equal(point.mod["main"], schedule_function(function, isa)[0])


def test_a_row_is_copied_by_vectors():
    function, *_ = unscheduled(CONVOLUTIONS[0], AVX512_VPOPCNTDQ, integers)
    assert layer_of(function, AVX512_VPOPCNTDQ).tile.lanes == 16
    assert "T.Ramp" in function.script()
