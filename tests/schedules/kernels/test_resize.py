import numpy as np
import pytest
import torch
import tvm
from tvm import te

from schedules.choice import schedule_function
from schedules.kernels.binary.bitpack import wide
from schedules.kernels.resize import resize_linear
from schedules.lowering import stack
from schedules.machines import host
from schedules.machines.isa import AVX2, ISAS
from schedules.machines.target import find_target

RNG = np.random.default_rng(0)
#: As binary layers leave them: few values, of either sign, and zeros.
FEW = RNG.choice(np.array([-0.7, 0, 0.7, 1.3, -1.3], np.float32), (2, 9, 7, 16))

pytestmark = pytest.mark.skipif(AVX2 not in host.isas(), reason="needs a processor with fused multiply-adds: AVX2")


def resized(x, size, layout, isa):
    image = te.placeholder(wide(x.shape), "float32")
    function, _ = schedule_function(te.create_prim_func([image, resize_linear(image, size, layout)]), isa)
    axis = layout.index("H")
    result = tvm.runtime.tensor(np.full((*x.shape[:axis], *size, *x.shape[axis + 2 :]), 77, np.float32))
    target = tvm.target.Target(find_target("x86-avx2").tvm)  # which fuses products and sums, as PyTorch's kernels do
    tvm.compile(function, target=target, tir_pipeline=stack.PIPELINE)["main"](tvm.runtime.tensor(x), result)
    return result.numpy()


def by_pytorch(x, size):
    """Resize NHWC."""
    planes = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
    found = torch.nn.functional.interpolate(planes, size=size, mode="bilinear", align_corners=False)
    return found.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_images_of_few_values_are_doubled_to_the_bit(layout, isa):
    x = FEW if layout == "NHWC" else np.ascontiguousarray(FEW.transpose(0, 3, 1, 2))
    found = resized(x, (18, 14), layout, isa)
    expected = by_pytorch(FEW, (18, 14))
    assert (expected == 0).any()
    np.testing.assert_array_equal(found if layout == "NHWC" else found.transpose(0, 2, 3, 1), expected)


@pytest.mark.parametrize("size", [(5, 3), (13, 20), (9, 7), (1, 1), (27, 21)])
def test_other_sizes_agree_with_pytorch(size):
    x = RNG.standard_normal((1, 9, 7, 5)).astype(np.float32)
    np.testing.assert_allclose(resized(x, size, "NHWC", ISAS[0]), by_pytorch(x, size), rtol=0, atol=2e-6)
