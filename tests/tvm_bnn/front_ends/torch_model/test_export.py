"""Modules that ``torch.export`` refuses as they are, and what its graphs need before TVM reads them."""

import pytest
import torch
from torch import nn

from schedules.errors import UserError
from tvm_bnn.front_ends.torch_model.export import export_module
from tvm_bnn.front_ends.torch_model.importing.importable import make_importable


class WritesData(nn.Linear):
    def forward(self, x):
        self.weight.data = torch.sign(self.weight.data)
        return nn.functional.linear(torch.sign(x.data), self.weight)


class ReadsAConstant(nn.Linear):
    def forward(self, x):
        scale = self.weight.abs().max()
        return torch.sign(x) * 2 if scale.item() > 1e6 else nn.functional.linear(x, self.weight)


class ReadsItsInput(nn.Module):
    def forward(self, x):
        return x if float(x.sum()) > 0 else -x


def test_writes_through_data_are_seen_and_the_module_keeps_its_weights():
    torch.manual_seed(0)
    module = WritesData(5, 3, bias=False)
    x, weight = torch.randn(2, 5), module.weight.detach().clone()
    program = export_module(module, (x,))
    assert torch.equal(module.weight, weight)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), torch.sign(x) @ torch.sign(weight).T)


def test_scalars_of_the_model_are_replayed():
    module = ReadsAConstant(5, 3)
    x = torch.randn(2, 5)
    torch.testing.assert_close(export_module(module, (x,)).module()(x), module(x))


@pytest.mark.parametrize("x", [torch.ones(3), -torch.ones(3)])
def test_scalars_that_change_with_the_input_are_refused_by_file_and_line(x):
    with pytest.raises(UserError, match=r"ReadsItsInput branches on its data at .*test_export\.py:\d+") as caught:
        export_module(ReadsItsInput(), (x,))
    assert "\n" not in str(caught.value)


def test_inputs_that_do_not_fit_the_module_are_refused_by_their_shape_and_nothing_is_logged(caplog):
    with pytest.raises(UserError, match="Linear does not run on inputs of shape 4x63: mat1 and mat2"):
        export_module(nn.Linear(64, 10), (torch.randn(4, 63),))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def importable(module, *inputs):
    return make_importable(torch.export.export(module, inputs).run_decompositions())


class Compares(nn.Module):
    def forward(self, x):
        return (x >= 0) * 2 - 1


def test_type_promotion_becomes_explicit():
    program = importable(Compares(), torch.randn(4))
    x = torch.tensor([-1.0, 0.0, 2.0, -3.0])
    assert "_to_copy" in str(program.graph)
    assert program.module()(x).tolist() == [-1, 1, 1, -1]


class AssignsUnderAMask(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[x < 0] = 7.0
        return y


def test_assignment_under_a_mask_becomes_a_selection():
    program = importable(AssignsUnderAMask(), torch.randn(2, 3))
    assert "index_put" not in str(program.graph)
    assert program.module()(torch.tensor([[-1.0, 0.0, 2.0]] * 2)).tolist() == [[7, 0, 2]] * 2


class Checks(nn.Module):
    def forward(self, x):
        return torch.linalg.solve(torch.eye(3) * 2, x.to(torch.float64).float())


def test_run_time_checks_and_their_tokens_go():
    program = importable(Checks(), torch.randn(3, 1))
    assert "_assert" not in str(program.graph)
    assert "token" not in str(program.graph_signature.input_specs).lower()


class BranchesOnAParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x if self.scale.item() == 0 else x * self.scale


def test_a_first_attempt_that_fails_leaves_no_trace_on_the_screen(capfd):
    export_module(BranchesOnAParameter(), (torch.randn(1, 4),))
    out, err = capfd.readouterr()
    assert "def forward" not in out + err
