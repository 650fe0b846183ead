"""Pools and means, which have no anchor: NumPy's numbers, summed in registers where channels fill vectors."""

import numpy as np
import pytest
import tvm
from tvm import relax

from relay_passes import pipeline
from schedules.machines import host
from schedules.machines.isa import AVX512_VPOPCNTDQ

RNG = np.random.default_rng(0)
HERE = pytest.mark.parametrize("isa", host.isas(), ids=lambda isa: isa.name)


def module_of(shape, *steps):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = x
            for step in steps:
                value = builder.emit(step(value))
            y = builder.emit_output(value)
        builder.emit_func_output(y)
    return builder.get()


def lowered(module, isa):
    return pipeline.run(module, pipeline.pack(isa) + pipeline.lower_to(isa))


def windows(x, size, stride, padding, fill):
    """Return what each window sees: ``(taps, N, OH, OW, C)``."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), constant_values=fill)
    height, width = ((extent + 2 * padding - size) // stride + 1 for extent in x.shape[1:3])
    last = [stride * (extent - 1) + 1 for extent in (height, width)]
    return np.stack(
        [
            padded[:, row : row + last[0] : stride, column : column + last[1] : stride]
            for row in range(size)
            for column in range(size)
        ]
    )


@HERE
@pytest.mark.parametrize("channels", [64, 144, 20, 3])
@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (3, 1, 1)])
def test_the_maximum_of_each_window(isa, channels, size, stride, padding, evaluate):
    x = RNG.standard_normal((2, 9, 8, channels)).astype(np.float32)
    options = {"strides": [stride] * 2, "padding": [padding] * 2, "layout": "NHWC"}
    module = module_of(x.shape, lambda value: relax.op.nn.max_pool2d(value, [size, size], **options))
    expected = windows(x, size, stride, padding, -np.inf).max(axis=0)
    np.testing.assert_array_equal(evaluate(lowered(module, isa), x), expected)


@HERE
@pytest.mark.parametrize("channels", [64, 144, 20])
@pytest.mark.parametrize("counts_padding", [True, False])
def test_the_average_of_each_window(isa, channels, counts_padding, evaluate):
    x = RNG.integers(-8, 9, (2, 9, 8, channels)).astype(np.float32)
    options = {"strides": [2, 2], "padding": [1, 1], "layout": "NHWC", "count_include_pad": counts_padding}
    module = module_of(x.shape, lambda value: relax.op.nn.avg_pool2d(value, [3, 3], **options))
    seen = windows(x, 3, 2, 1, 0).sum(axis=0)
    counted = np.float32(9) if counts_padding else windows(np.ones_like(x), 3, 2, 1, 0).sum(axis=0)
    np.testing.assert_allclose(evaluate(lowered(module, isa), x), seen / counted, rtol=1e-6)


@HERE
@pytest.mark.parametrize("shape", [(1, 7, 7, 512), (3, 5, 4, 48), (2, 3, 3, 10)], ids=str)
def test_the_mean_of_an_image(isa, shape, evaluate):
    x = RNG.integers(-8, 9, shape).astype(np.float32)
    module = module_of(shape, lambda value: relax.op.mean(value, [1, 2]))
    np.testing.assert_allclose(evaluate(lowered(module, isa), x), x.mean(axis=(1, 2)), rtol=1e-6)


def test_sums_stay_in_registers_until_they_are_done():
    pool = module_of((1, 8, 8, 64), lambda value: relax.op.nn.avg_pool2d(value, [2, 2], [2, 2], layout="NHWC"))
    (function,) = (f for f in lowered(pool, AVX512_VPOPCNTDQ).functions.values() if isinstance(f, tvm.tirx.PrimFunc))
    allocated = [line for line in function.script().splitlines() if "sblock_alloc_buffer" in line]
    assert len(allocated) == 1
    assert 'scope="local"' in allocated[0]
