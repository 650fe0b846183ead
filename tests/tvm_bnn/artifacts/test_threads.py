"""Several threads give the same answer as one; a process decides on their number once."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from schedules.errors import UserError
from tvm_bnn import load
from tvm_bnn.compile.compiler import compile_model

RUN = """
import sys
import numpy as np
from tvm_bnn import load
model = load(sys.argv[1], threads=int(sys.argv[2]))
np.save(sys.argv[3], model(np.load(sys.argv[4])))
"""


class Wide(nn.Module):
    """A layer that is worth two threads, and a pool that is, too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.weight = nn.Parameter(torch.randn(128, 64, 3, 3))

    def forward(self, x):
        signs = torch.sign(self.pool(self.stem(x)) - 0.5)
        return nn.functional.conv2d(signs, torch.sign(self.weight), padding=1)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    path = tmp_path_factory.mktemp("threads") / "model.so"
    return compile_model(Wide(), (torch.randn(1, 3, 56, 56),), output=path).path


def test_two_threads_compute_what_one_computes(artifact, tmp_path):
    image = np.random.default_rng(0).standard_normal((1, 3, 56, 56)).astype(np.float32)
    np.save(tmp_path / "x.npy", image)
    for threads in ("1", "2"):
        command = [sys.executable, "-c", RUN, str(artifact), threads, str(tmp_path / threads), str(tmp_path / "x.npy")]
        subprocess.run(command, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "2.npy"), np.load(tmp_path / "1.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "1.npy"), load(artifact)(image))


def test_a_second_number_of_threads_is_refused(artifact):
    load(artifact)
    with pytest.raises(UserError, match="threads: 2; another model of this process has settled for 1"):
        load(artifact, threads=2)
    with pytest.raises(UserError, match="threads: '0'; at least 1"):
        load(artifact, threads=0)


FORK = """
import os, signal, sys
import numpy as np
import tvm_bnn
from schedules.errors import UserError
path, runs_first = sys.argv[1], sys.argv[2] == "first"
image = np.zeros((1, 3, 56, 56), np.float32)
model = tvm_bnn.load(path, threads=2)
if runs_first:
    model(image)
child = os.fork()
if child == 0:
    signal.alarm(60)
    try:
        model(image)
        os._exit(10)
    except UserError as error:
        assert "which fork does not copy" in str(error)
        try:
            tvm_bnn.load(path)(image)
        except UserError:
            os._exit(11)
        os._exit(12)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
model(image)
"""


@pytest.mark.parametrize(("order", "code"), [("first", "11"), ("later", "10")])
def test_a_fork_of_a_process_with_threads_answers_or_refuses(artifact, order, code):
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(artifact), order]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert finished.stdout.strip() == code, finished.stderr
    assert finished.returncode == 0, finished.stderr
