"""Ties fall as they do for PyTorch: batch norms whose means are integers that a layer reaches."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.verifying.samples import Samples

GAMMAS = {
    "one": lambda _generator, channels: torch.ones(channels),
    "any": lambda generator, channels: torch.randn(channels, generator=generator),
    "powers of two": lambda generator, channels: 2.0 ** torch.randint(-3, 4, (channels,), generator=generator),
    "some zero": lambda generator, channels: torch.randn(channels, generator=generator).clamp(min=0),
}
AFTER = {
    "a sign": lambda x: x,
    "a hard tanh": functional.hardtanh,
    "a leaky rectifier": lambda x: functional.leaky_relu(x, 0.1),
    "a second norm's scale": lambda x: x * -0.3,
}


class Ties(nn.Module):
    """A binary layer whose sums are often the mean of the batch norm behind it, whose offset is zero."""

    def __init__(self, gamma, after):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.second = (
            nn.Parameter(torch.randn(*shape, generator=generator)) for shape in ((64, 8, 3, 3), (10, 64, 2, 2))
        )
        self.norm = nn.BatchNorm2d(64)
        self.after = after
        with torch.no_grad():
            self.norm.weight.copy_(GAMMAS[gamma](generator, 64))
            # Sums of 72 signs are even.
            self.norm.running_mean.copy_(2 * torch.randint(-4, 5, (64,), generator=generator))
            self.norm.running_var.uniform_(0.5, 90, generator=generator)

    def forward(self, x):
        x = functional.conv2d(torch.sign(x), torch.sign(self.first))
        x = functional.conv2d(torch.sign(self.after(self.norm(x))), torch.sign(self.second))
        return x.mean((2, 3))


@pytest.mark.parametrize(
    ("gamma", "after"), [*((gamma, "a sign") for gamma in GAMMAS), *(("any", after) for after in list(AFTER)[1:])]
)
def test_every_tie_of_a_batch_norm_falls_as_in_pytorch(tmp_path, gamma, after):
    module = Ties(gamma, AFTER[after]).eval()
    images = np.random.default_rng(0).standard_normal((32, 8, 6, 6)).astype(np.float32)
    compiled = compile_model(
        module, (torch.zeros(1, 8, 6, 6),), output=tmp_path / "model.so", samples=Samples((images,), "images")
    )
    parity, trouble = compiled.report.parity, compiled.report.trouble
    assert (parity.agreeing, parity.samples) == (32, 32)
    assert (trouble.failed, trouble.undecided) == ((), ())
    with torch.no_grad():
        sums = functional.conv2d(torch.from_numpy(images).sign(), module.first.sign())
    assert (sums == module.norm.running_mean[:, None, None]).float().mean() > 0.05
