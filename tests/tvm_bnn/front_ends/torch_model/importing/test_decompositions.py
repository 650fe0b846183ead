"""Operators that TVM mistranslates, one by one against PyTorch: each is right, or refused by name."""

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from torch.nn import functional
from tvm import relax

from relay_passes import pipeline
from relay_passes.lower import lower
from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.program import import_program

IMAGE = torch.randn(2, 3, 8, 10, generator=torch.Generator().manual_seed(0))
ROWS = torch.tensor([2, 0, 1])


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def translated(function, *inputs):
    """Return what a function gives, imported and simplified, without schedules."""
    module = import_program(torch.export.export(Function(function), inputs)).module
    module = pipeline.run(module, [*pipeline.simplify(), pipeline.Pass("lower", lower.lower)])
    machine = relax.VirtualMachine(relax.build(module, target="llvm"), tvm.cpu())
    return machine["main"](*(tvm.runtime.tensor(value.numpy()) for value in inputs)).numpy()


def resized(mode, **options):
    return lambda x: functional.interpolate(x, mode=mode, **options)


FUNCTIONS = {
    "nearest, larger": resized("nearest", size=(11, 13)),
    "nearest, smaller": resized("nearest", size=(3, 7)),
    "nearest by a factor": resized("nearest", scale_factor=1.7),
    "nearest by two factors": resized("nearest", scale_factor=(0.6, 2.3)),
    "nearest exact": resized("nearest-exact", size=(11, 3)),
    "bilinear by a factor": resized("bilinear", scale_factor=1.7),
    "by area": resized("area", size=(5, 13)),
    "uneven pool": lambda x: functional.adaptive_avg_pool2d(x, (3, 4)),
    "even pool": lambda x: functional.adaptive_avg_pool2d(x, (4, 5)),
    "divisor": lambda x: functional.avg_pool2d(x, 3, 2, divisor_override=5),
    "divisor, padded": lambda x: functional.avg_pool2d(x, 2, padding=1, divisor_override=3),
    "last row": lambda x: x[:, :, -1] * 2,
    "rows from the end": lambda x: x[:, torch.tensor([-1, 0])],
    "pairs": lambda x: x[:, ROWS, ROWS],
    "pairs apart": lambda x: x[torch.tensor([0, 1]), :, torch.tensor([3, 4])],
    "pairs apart, behind an axis": lambda x: x[:, ROWS, :, ROWS],
    "a box": lambda x: x[:, ROWS[:2, None], ROWS],
    "selu": lambda x: functional.selu(3 * x),
    "elu": lambda x: functional.elu(3 * x, 0.7),
    "greatest of some axes": lambda x: x.amax((1, -1)),
    "least of an axis, kept": lambda x: x.amin(2, keepdim=True),
    "minimum": lambda x: x.min(1).values,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_operator_is_translated_rightly(name):
    expected = FUNCTIONS[name](IMAGE).numpy()
    found = translated(FUNCTIONS[name], IMAGE)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


REFUSED = {
    "grid_sampler_2d": lambda x: functional.grid_sample(x, torch.zeros(2, 5, 6, 2), align_corners=False),
    "aa": resized("bilinear", size=(5, 13), antialias=True),
    "places": lambda x: functional.max_pool2d(x, 2, return_indices=True)[1],
    "median": lambda x: x.median(1).values,
    "divisor_override": lambda x: functional.avg_pool2d(x, 3, 2, ceil_mode=True, divisor_override=5),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_comes_out_wrong_is_refused_by_name(name):
    with pytest.raises(UserError, match=rf"(?s)operator aten.*{name}.*express it with other operators"):
        translated(REFUSED[name], IMAGE)
