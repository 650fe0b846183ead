import torch
from torch import nn
from torch.nn import functional as F

import tvm_bnn


class Grouped(nn.Module):
    """Two groups of 48 output channels: as many as three vectors of NEON hold twice, and no power of two."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(96, 32, 3, 3))

    def forward(self, x):
        return F.conv2d(torch.sign(x), torch.sign(self.weight), padding=1, groups=2)


def test_a_tile_of_channels_may_reach_into_the_next_group(tmp_path):
    torch.manual_seed(0)
    compiled = tvm_bnn.compile_model(
        Grouped().eval(), (torch.randn(1, 64, 8, 8),), target="rpi4", output=tmp_path / "g.so"
    )
    (layer,) = compiled.report.layers
    assert layer.runs_on_bits
    parity = compiled.report.parity
    assert compiled.report.not_verified if parity is None else parity.agreeing == parity.samples
