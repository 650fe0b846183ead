"""Elementary functions and rows between binary layers, executed for each architecture and held against PyTorch."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tvm_bnn
from schedules.machines import host
from schedules.machines.isa import AVX2


class Functions(nn.Module):
    """A binary layer behind everything that is computed by polynomials, and behind rows that are reduced."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(48)
        self.weight = nn.Parameter(torch.randn(48, 48))

    def forward(self, x):
        rows = F.softmax(4 * x, dim=-1) + self.norm(x)
        y = F.gelu(rows) + torch.sigmoid(3 * rows) * torch.tanh(rows) + torch.exp(-rows.abs())
        return y + 0.01 * F.linear(torch.where(x >= 0, 1.0, -1.0), torch.sign(self.weight))


@pytest.mark.parametrize("target", ["native", "rpi4", "rpi2"])
def test_float_functions_are_those_of_pytorch(tmp_path, target):
    torch.manual_seed(0)
    samples = (3 * torch.randn(1, 6, 48),)
    report = tvm_bnn.compile_model(Functions().eval(), samples, target=target, output=tmp_path / "f.so").report
    if report.parity is None:
        pytest.skip(report.not_verified)
    assert report.parity.agreeing == report.parity.samples
    assert report.parity.max_difference < 1e-5


class Means(nn.Module):
    """A binary layer times means over several of the last axes: of a sample, of everything, of a group of channels."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 64, 1, 1))

    def forward(self, x):
        product = F.conv2d(torch.where(x >= 0, 1.0, -1.0), torch.sign(self.weight))
        groups = x.unflatten(1, (4, 16)).square().mean(dim=(2, 3, 4), keepdim=True)
        scaled = (product.unflatten(1, (4, 16)) * groups).flatten(1, 2)
        return scaled * x.abs().mean(dim=(1, 2, 3), keepdim=True) + (x + 1).mean()


@pytest.mark.parametrize("target", ["native", "rpi4", "rpi2"])
def test_means_over_several_axes_are_those_of_pytorch(tmp_path, target):
    torch.manual_seed(0)
    report = tvm_bnn.compile_model(
        Means().eval(), (torch.randn(1, 64, 8, 24),), target=target, output=tmp_path / "m.so"
    ).report
    if report.parity is None:
        pytest.skip(report.not_verified)
    assert report.parity.agreeing == report.parity.samples
    assert report.parity.relative_error < 1e-6


class Doubled(nn.Module):
    """A sign behind an image of few values that is doubled: where they cancel, another rounding is another sign."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 32, 3, 3))

    def forward(self, x):
        doubled = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return doubled, F.conv2d(torch.where(doubled >= 0, 1.0, -1.0), torch.sign(self.weight), padding=1)


@pytest.mark.skipif(AVX2 not in host.isas(), reason="PyTorch rounds once only where it has fused multiply-adds: AVX2")
def test_signs_behind_doubled_images_are_those_of_pytorch(tmp_path):
    torch.manual_seed(0)
    model = Doubled().eval()
    values = torch.randn(4)[torch.randint(0, 4, (1, 32, 16, 16))] * torch.sign(torch.randn(1, 32, 16, 16))
    image = values * (torch.rand(values.shape) > 0.4)
    path = tvm_bnn.compile_model(model, (image,), output=tmp_path / "d.so", verify=False).path
    for found, expected in zip(tvm_bnn.load(path)(image.numpy()), model(image), strict=True):
        np.testing.assert_array_equal(found, expected.detach().numpy())
