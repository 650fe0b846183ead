"""Models that take bytes, as cameras give them: they agree on every value a byte can have."""

import numpy as np
import pytest
import torch
from torch import nn

import tvm_bnn
from schedules.errors import UserError
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.front_ends.example_input import ExampleInput
from tvm_bnn.front_ends.torch_model.factory import Factory

SOURCE = """
import torch
from torch import nn

class Camera(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.weight = nn.Conv2d(3, 32, 3), nn.Parameter(torch.randn(8, 32, 3, 3))

    def forward(self, x):
        x = self.stem(x.permute(0, 3, 1, 2).float() / 255 - 0.5)
        return nn.functional.conv2d(x.sign(), self.weight.sign())
"""


class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        torch.manual_seed(0)
        self.scale, self.weight = scale, nn.Parameter(torch.randn(10, 256))

    def forward(self, x):
        return nn.functional.linear(self.scale(x).sign(), self.weight.sign())


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.uint8, lambda x: (x.float() / 255 - 0.45) / 0.225),
        (torch.uint8, lambda x: (x - 128) / 64),  # bytes wrap around
        (torch.uint8, lambda x: x.to(torch.float32)),
        (torch.int8, lambda x: x * 0.01 + 0.005),
        (torch.int16, lambda x: x.float() - 3.5),
    ],
)
def test_every_value_of_a_byte_is_seen_as_pytorch_sees_it(dtype, scale, tmp_path):
    module = Scaled(scale).eval()
    first = 0 if dtype == torch.uint8 else -128
    x = torch.arange(first, first + 256).to(dtype)[None]
    report = compile_model(module, (x,), output=tmp_path / "model.so").report
    assert report.layers[0].bit_planes != (0, 0)
    model = tvm_bnn.load(tmp_path / "model.so")
    with torch.no_grad():
        np.testing.assert_array_equal(np.asarray(model(x)), module(x).numpy())
    with pytest.raises(UserError, match=f"the model takes {str(dtype).removeprefix('torch.')}"):
        model(x.float())


def test_a_camera_is_described_on_the_command_line_and_verified_on_any_bytes(tmp_path):
    (tmp_path / "camera.py").write_text(SOURCE)
    inputs = (ExampleInput.parse("1x8x8x3:uint8"),)
    report = compile_model(
        Factory(str(tmp_path / "camera.py"), "Camera", inputs=inputs), output=tmp_path / "c.so"
    ).report
    assert [row.binary for row in report.layers] == [False, True]


def test_bytes_are_drawn_over_their_whole_range():
    drawn = ExampleInput.parse("64x64:int8").tensor(torch.float32, torch.Generator().manual_seed(0))
    assert (int(drawn.min()), int(drawn.max())) == (-128, 127)
    assert not ExampleInput.parse("4:int16").tensor(torch.float32, torch.Generator()).any()
