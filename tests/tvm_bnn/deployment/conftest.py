"""Folders that the compiler wrote for programs without Python, and C programs built against them."""

import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rpc.boards import emulation
from schedules.machines.link import compile_program, link_triple
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.zoo.digits import DIGITS

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def native(tmp_path_factory):
    """The embedded network for this machine: its report, with the folder's sizes."""
    folder = tmp_path_factory.mktemp("native")
    return compile_model(DIGITS, output=folder / "digits.so", deploy=folder / "deployed", verify=False)


@pytest.fixture(scope="session")
def arm(tmp_path_factory):
    """The embedded network for a 64-bit ARM board."""
    folder = tmp_path_factory.mktemp("arm")
    options = {"output": folder / "digits.so", "deploy": folder / "deployed", "verify": False}
    return compile_model(DIGITS, target="arm", **options)


class Wide(nn.Module):
    """Layers large enough to be shared out to threads, and a softmax, which borrows memory while it runs."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.stem = nn.Parameter(torch.randn(64, 3, 3, 3, generator=generator))
        self.body = nn.Parameter(torch.randn(64, 64, 3, 3, generator=generator))

    def forward(self, x):
        x = F.conv2d(x, self.stem, padding=1)
        x = F.conv2d(torch.sign(x), torch.sign(self.body), padding=1)
        return (x / 24).softmax(1).mean((2, 3))


@pytest.fixture(scope="session")
def wide(tmp_path_factory):
    """A network that uses threads and workspaces."""
    folder = tmp_path_factory.mktemp("wide")
    options = {"output": folder / "wide.so", "deploy": folder / "deployed", "verify": False}
    return compile_model(Wide(), (torch.zeros(1, 3, 56, 56),), **options)


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """A function that compiles a test's C program for a model's machine and runs it there."""
    built = {}

    def run(name, compiled, *arguments):
        folder = compiled.path.parent / "deployed"
        machine = compiled.report.machine
        if (name, machine) not in built:
            output = tmp_path_factory.mktemp(name) / name
            sources = [HERE / f"{name}.c", *(folder / "src").glob("*.c")]
            include = [folder / "include", folder / "src"]
            compile_program(sources, output, link_triple(machine), include, [], "zig", ["-lpthread", "-ldl"])
            built[name, machine] = output
        command = [*emulation.emulator(machine), str(built[name, machine]), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    return run
