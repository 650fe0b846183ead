"""What a loaded model takes: any memory layout, whole batches, and nothing that would have to be converted silently."""

import numpy as np
import pytest
import torch
from torch import nn

import tvm_bnn
from schedules.errors import UserError
from tvm_bnn.compile.compiler import compile_model


class Net(nn.Module):
    """Two inputs, two outputs, all with the batch first."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, bias=False)

    def forward(self, x, y):
        bits = nn.functional.conv2d(torch.sign(x), torch.sign(self.conv.weight))
        return bits.mean((2, 3)) + y, torch.relu(y)


class Pools(nn.Linear):
    """Sums over its samples: nothing says that they are a batch."""

    def forward(self, x):
        return nn.functional.linear(torch.sign(x), torch.sign(self.weight)).sum(0, keepdim=True)


def compiled(module, inputs, folder):
    return tvm_bnn.load(compile_model(module, inputs, output=folder / "model.so", verify=False).path)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module")
def model(net, tmp_path_factory):
    """Compiled for batches of two."""
    return compiled(net, (torch.randn(2, 4, 6, 6), torch.randn(2, 8)), tmp_path_factory.mktemp("net"))


def samples(count):
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, 4, 6, 6, generator=generator), torch.randn(count, 8, generator=generator)


def complaint_of(function, *arguments):
    with pytest.raises(UserError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def agrees(results, net, inputs):
    with torch.no_grad():
        for result, expected in zip(results, net(*inputs), strict=True):
            torch.testing.assert_close(torch.as_tensor(result), expected)


@pytest.mark.parametrize("count", [2, 4, 10])
def test_several_batches_run_one_after_the_other(model, net, count):
    inputs = samples(count)
    agrees(model(*inputs), net, inputs)
    agrees(model(*(value.numpy() for value in inputs)), net, inputs)


@pytest.mark.parametrize("count", [1, 3])
def test_a_part_of_a_batch_is_refused(model, count):
    assert f"input 'x' has {count} samples; the model takes a multiple of 2" in complaint_of(model, *samples(count))


def test_inputs_of_different_numbers_of_samples_are_refused(model):
    text = complaint_of(model, samples(4)[0], samples(2)[1])
    assert "different numbers of samples ('x' 4, 'y' 2)" in text


def test_an_empty_batch_is_refused(model):
    assert "has shape (0, 4, 6, 6), which holds no sample" in complaint_of(model, *samples(0))


def test_where_outputs_have_no_batch_only_the_compiled_shape_is_taken(tmp_path):
    model = compiled(Pools(8, 3, bias=False).eval(), (torch.randn(4, 8),), tmp_path)
    assert model(torch.randn(4, 8)).shape == (1, 3)
    assert "has shape (8, 8); the model was compiled for (4, 8)" in complaint_of(model, torch.randn(8, 8))


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize(
    "stored",
    [
        lambda x: x.to(memory_format=torch.channels_last),
        lambda x: x.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
        lambda x: torch.stack([x, x], -1)[..., 0],
        lambda x: x.clone().requires_grad_(),
        nn.Parameter,
        lambda x: x.numpy().transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
        lambda x: np.asfortranarray(x.numpy()),
        lambda x: x.numpy()[:, ::-1].copy()[:, ::-1],
        lambda x: x.numpy().astype(">f4"),
    ],
)
def test_how_an_input_lies_in_memory_does_not_matter(model, net, stored, count):
    x, y = samples(count)
    agrees(model(stored(x), y), net, (x, y))


def test_inputs_are_not_written_to(model):
    x, y = samples(4)
    kept = x.clone()
    model(x, y)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32"])
def test_tensors_of_another_type_are_refused_with_what_converts_them(model, dtype):
    x, y = samples(2)
    text = complaint_of(model, x.to(getattr(torch, dtype)), y)
    assert f"input 'x' is {dtype}; the model takes float32: pass x.float()" in text


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8"])
def test_arrays_of_another_type_are_refused_with_what_converts_them(model, dtype):
    x, y = samples(2)
    text = complaint_of(model, x.numpy().astype(dtype), y.numpy())
    assert f"input 'x' is {dtype}; the model takes float32: pass x.astype('float32')" in text
    assert "is float64; the model takes float32: pass np.asarray(x, 'float32')" in complaint_of(model, x.tolist(), y)


def test_tensors_elsewhere_and_sparse_ones_are_refused(model):
    x, y = samples(2)
    assert "input 'x' lies on meta; the model runs on the CPU: pass x.cpu()" in complaint_of(model, x.to("meta"), y)
    assert "the model takes dense tensors: pass x.to_dense()" in complaint_of(model, x.to_sparse(), y)
    assert "its rows differ in length" in complaint_of(model, [[1.0], [2.0, 3.0]], y)
