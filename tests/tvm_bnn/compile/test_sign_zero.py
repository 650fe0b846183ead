"""What becomes of exact zeros before a sign, from the option to the verdict."""

import numpy as np
import pytest
import torch
from torch import nn

from tvm_bnn import load
from tvm_bnn.artifacts.runtime import Model
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.verifying.samples import Samples


class SignsOfPixels(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(10, 32))

    def forward(self, x):
        return nn.functional.linear(torch.sign(x), torch.sign(self.weight))


IMAGES = np.random.default_rng(0).integers(-1, 2, (50, 1, 32)).astype(np.float32).reshape(50, 32)


@pytest.mark.parametrize(("sign_zero", "of_zero", "planes"), [("exact", 0, 2), ("plus", 1, 1), ("minus", -1, 1)])
def test_the_artifact_the_reference_and_the_report_agree_on_the_sign_of_zero(tmp_path, sign_zero, of_zero, planes):
    module = SignsOfPixels()
    compiled = compile_model(
        module,
        (torch.zeros(1, 32),),
        output=tmp_path / "model.so",
        samples=Samples((IMAGES,), "pixels"),
        sign_zero=sign_zero,
    )
    report = compiled.report
    assert report.sign_zero == sign_zero
    assert report.parity.agreeing == 50
    assert report.parity.zero_signs == (IMAGES == 0).sum()
    assert report.layers[0].bit_planes == (planes, 1)
    model: Model = load(compiled.path)
    signs = np.where(IMAGES[:1] == 0, of_zero, np.sign(IMAGES[:1]))
    np.testing.assert_array_equal(model(IMAGES[:1]), signs @ np.sign(module.weight.detach().numpy()).T)


class ComparedAttention(nn.Module):
    """Attention of {0, 1}, by a comparison, whose result is binarized: its sums are exactly zero now and then."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(8, 16))

    def forward(self, query, key, value):
        scores = torch.sign(query) @ torch.sign(key).transpose(-1, -2)
        context = (scores > 0).float() @ torch.sign(value)
        return nn.functional.linear(torch.sign(context), torch.sign(self.weight))


def test_sums_that_a_comparison_picks_keep_their_zeros(tmp_path):
    module = ComparedAttention().eval()
    inputs = tuple(torch.randn(2, 2, 8, 16) for _ in range(3))
    compiled = compile_model(module, inputs, output=tmp_path / "model.so", verify=False)
    assert compiled.report.layers[-1].bit_planes == (2, 1)
    model: Model = load(compiled.path)
    expected = module(*inputs).detach().numpy()
    np.testing.assert_array_equal(model(*(x.numpy() for x in inputs)), expected)


class Unbiased(nn.Module):
    """A float layer without a bias, what comes behind it, and a binary layer."""

    def __init__(self, behind):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.behind = nn.Conv2d(3, 16, 3, bias=False), behind
        self.weight = nn.Parameter(torch.randn(8, 16, 1, 1))

    def forward(self, x):
        return nn.functional.conv2d(torch.sign(self.behind(self.stem(x))), torch.sign(self.weight))


def shifted():
    """Return a batch norm as training leaves it."""
    norm = nn.BatchNorm2d(16)
    nn.init.normal_(norm.running_mean)
    return norm


BEHIND = {
    "nothing": (nn.Identity, 2),
    "a mean": (lambda: nn.AvgPool2d(2), 2),
    "a group norm": (lambda: nn.GroupNorm(4, 16), 2),
    "a batch norm": (shifted, 1),
}


@pytest.mark.parametrize("behind", BEHIND)
def test_what_is_black_is_zero_behind_layers_without_an_offset(tmp_path, behind):
    make, planes = BEHIND[behind]
    module = Unbiased(make()).eval()
    images = torch.randn(4, 3, 10, 10)
    images[0], images[1, ..., :6], images[2, :, :5] = 0, 0, 0
    samples = Samples((images.numpy(),), "half black images")
    report = compile_model(module, (images[:1],), output=tmp_path / "model.so", samples=samples).report
    assert report.layers[-1].bit_planes == (planes, 1)
    assert report.parity.agreeing == 4
    assert not report.trouble.failed
