import numpy as np
import pytest
import torch
from torch import nn

from tvm_bnn.front_ends.torch_model import reference as torch_reference
from tvm_bnn.front_ends.torch_model.reference import TorchReference
from tvm_bnn.front_ends.torch_model.running.sign_counter import SignCounter


@pytest.fixture
def threads_seen(monkeypatch):
    """Return the numbers of threads that operators ran with; PyTorch has three to begin with."""
    seen, run_node = set(), SignCounter.run_node

    def watched(counter, node):
        seen.add(torch.get_num_threads())
        return run_node(counter, node)

    monkeypatch.setattr(SignCounter, "run_node", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield seen
    torch.set_num_threads(before)


@pytest.fixture
def reference():
    return TorchReference(torch.export.export(nn.Linear(8, 4).eval(), (torch.zeros(1, 8),)))


BATCH = [np.zeros((1, 8), np.float32)]


def test_threads_are_not_woken_for_a_small_model(reference, threads_seen):
    reference.run(BATCH)
    reference.run_double([BATCH])
    assert threads_seen == {1}
    assert torch.get_num_threads() == 3


def test_a_large_model_is_shared_by_all_threads(reference, threads_seen, monkeypatch):
    monkeypatch.setattr(torch_reference, "SHARED_OPERATIONS", 2 * 8 * 4)
    reference.run(BATCH)
    reference.run_double([BATCH])
    assert threads_seen == {3}


def test_it_is_timed_on_one_thread(reference, monkeypatch):
    before = torch.get_num_threads()
    with reference.bound(BATCH):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
