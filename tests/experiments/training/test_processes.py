"""One training by two processes of torchrun, over gloo."""

import subprocess
import sys

import msgspec
import pytest

from experiments.training.processes import Processes


def test_processes_share_out_a_batch_whole_and_without_overlap():
    parts = [Processes(rank, 3).share(list(range(10))) for rank in range(3)]
    assert sorted(number for part in parts for number in part) == list(range(10))


@pytest.mark.slow
def test_torchrun_trains_one_network_with_two_processes(tmp_path):
    options = ["bnn", "resnet-20", "digits", "--small", "--epochs", "4", "--threads", "1", "--output", str(tmp_path)]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    finished = subprocess.run(
        [*command, "--master-port", "29617", "-m", "experiments", "train", *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    result = msgspec.json.decode((tmp_path / "result.json").read_bytes())
    assert result["score"] == result["compiled_score"] > 20
    assert finished.stdout.count("test samples") == 1  # one process speaks
