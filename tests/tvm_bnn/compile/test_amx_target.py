"""A network compiled for a processor with AMX: which layers go there, what they give, where the artifact is refused."""

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

import tvm_bnn
from relay_passes import pipeline
from schedules.errors import UserError
from schedules.lowering import stack
from schedules.machines import host
from schedules.machines.target import find_target
from tvm_bnn.artifacts.artifact import read_artifact
from tvm_bnn.artifacts.runtime import Model
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.front_ends.opening import open_model

WITH_TILES = {"amx_tile", "amx_int8"} <= host.flags()
EXAMPLE = torch.randn(1, 64, 28, 28, generator=torch.Generator().manual_seed(0))


class Layer(nn.Module):
    def __init__(self, depth, channels, stride=1):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, depth, 3, 3))
        self.norm = nn.BatchNorm2d(channels)
        self.stride = stride

    def forward(self, x):
        signs = torch.where(x >= 0, 1.0, -1.0), torch.where(self.weight >= 0, 1.0, -1.0)
        return self.norm(nn.functional.conv2d(*signs, stride=self.stride, padding=1))


class Network(nn.Module):
    """Large enough for AMX, but for the last layer, whose rows are short."""

    def __init__(self):
        super().__init__()
        self.plain, self.residual = Layer(64, 128), Layer(128, 128)
        self.strided, self.last = Layer(128, 256, 2), Layer(256, 128, 2)

    def forward(self, x):
        x = self.plain(x)
        x = self.residual(x) + nn.functional.hardtanh(x)
        return self.last(self.strided(x)).mean((2, 3))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = Network()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1, 1)
            nn.init.normal_(module.bias)
            nn.init.uniform_(module.running_var, 100, 1000)
    return network.eval()


@pytest.fixture(scope="module")
def compiled(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("amx")
    return compile_model(network, (EXAMPLE,), target="x86-amx", output=folder / "network.so")


def test_the_report_names_the_layers_that_go_to_amx(compiled):
    kernels = {row.name: row.kernel.split(" ")[0] for row in compiled.report.layers}
    assert kernels == {
        "plain": "bconv2d_amx/amx-int8",
        "residual": "bconv2d_amx/amx-int8",
        "strided": "bconv2d_amx/amx-int8",
        "last": "bconv2d/avx512-vpopcntdq",
    }
    assert {row.precision for row in compiled.report.layers} == {"bits"}


def test_weights_are_stored_as_bits(compiled):
    for row in compiled.report.layers:
        assert row.bytes_after < row.bytes_before / 16


@pytest.mark.skipif(WITH_TILES, reason="this processor has AMX")
def test_a_processor_without_amx_refuses_the_artifact(compiled):
    assert "this CPU lacks what target 'x86-amx' needs" in compiled.report.not_verified
    with pytest.raises(UserError) as caught:
        tvm_bnn.load(compiled.path)
    assert "amx_int8, amx_tile" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(WITH_TILES, reason="this processor has AMX")
def test_a_system_that_gives_no_tiles_is_told_of_before_anything_runs(compiled):
    manifest, _ = read_artifact(compiled.path)
    with pytest.raises(UserError) as caught:
        Model(manifest, compiled.path)
    assert "model 'Network': it was compiled for AMX" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not WITH_TILES, reason="this processor has no AMX")
def test_a_processor_with_amx_computes_what_pytorch_does(compiled):
    assert compiled.report.parity is not None


def test_a_network_in_tiles_gives_what_it_gives_by_popcount(network, emulated_tiles):
    """The whole path, in emulation: the choice of each layer, their epilogues, and what they pack for each other."""
    isa = find_target("x86-amx").isa
    simplified = pipeline.run(open_model(network, (EXAMPLE,)).read().module, pipeline.simplify())
    results = []
    for tiles in (False, True):
        passes = pipeline.canonicalize() + pipeline.pack(isa, tiles=tiles) + pipeline.lower_to(isa)
        scheduled = emulated_tiles.replace_all(pipeline.run(simplified, passes))
        built = relax.build(scheduled, target="llvm", tir_pipeline=stack.PIPELINE)
        before = emulated_tiles.multiplications()
        main = relax.VirtualMachine(built, tvm.cpu())["main"]
        results.append(main(tvm.runtime.tensor(EXAMPLE.numpy())).numpy())
        assert (emulated_tiles.multiplications() > before) is tiles
    assert emulated_tiles.faults() == 0
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[1], network(EXAMPLE).detach().numpy(), atol=1e-4)
