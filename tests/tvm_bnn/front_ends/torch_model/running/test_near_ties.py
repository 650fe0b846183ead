"""Answers are explained by near ties, and by nothing else."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tvm_bnn.front_ends.torch_model.reference import TorchReference
from tvm_bnn.front_ends.torch_model.running import near_ties

#: What decides, and where its ties are.
DECISIONS = {
    "sign": (torch.sign, 0.0),
    "sgn": (torch.sgn, 0.0),
    "greater": (lambda x: (x > 0.5).float(), 0.5),
    "at least": (lambda x: torch.where(x >= 0, 1.0, -1.0), 0.0),
    "less": (lambda x: (x < x.new_tensor([[0.25]])).float(), 0.25),
    "at most": (lambda x: (x <= -1).float(), -1.0),
    "round": (lambda x: torch.round(x.clamp(0, 1)), 0.5),
}
TINY = 1e-8


class Network(nn.Module):
    """Two layers of decisions; the second has what the first decides for its input."""

    def __init__(self, decide):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("first", torch.randn(16, 16, generator=generator))
        self.register_buffer("second", torch.randn(3, 16, generator=generator))
        self.decide = decide

    def forward(self, x):
        y = functional.linear(self.decide(x), self.first)
        return functional.linear(torch.tanh(y), self.second)


def reference_of(module, x):
    return TorchReference(torch.export.export(module.eval(), (torch.from_numpy(x),)))


def inputs_near(tie, places, distance=TINY):
    x = np.random.default_rng(0).uniform(1.0, 2.0, (1, 16)).astype(np.float32)
    x[0, ::2] *= -1
    x[0, places] = tie + distance
    return x


@pytest.mark.parametrize("name", DECISIONS)
@pytest.mark.parametrize("places", [[3], [2, 9, 15]], ids=["one", "several"])
def test_decisions_next_to_a_tie_explain_what_another_rounding_answers(name, places):
    decide, tie = DECISIONS[name]
    spacing = float(np.spacing(np.float32(max(abs(tie), TINY))))
    x, other = inputs_near(tie, places, spacing), inputs_near(tie, places, -spacing)
    reference = reference_of(Network(decide), x)
    ((wanted,), (answer,)) = reference.run([other]), reference.run([x])
    assert np.abs(wanted - answer).max() > 0.1
    explanation = reference.explain([x], [wanted], 1e-4)
    assert explanation.decisions == len(places)
    np.testing.assert_allclose(explanation.answers[0], wanted, atol=1e-6)


def test_what_agrees_needs_no_decision():
    x = inputs_near(0.0, [3])
    reference = reference_of(Network(torch.sign), x)
    assert reference.explain([x], reference.run([x]), 1e-4).decisions == 0


@pytest.mark.parametrize("wrong", [lambda y: y + 0.01, lambda y: y * np.nan], ids=["shifted", "no number"])
def test_near_ties_explain_no_other_answers(wrong):
    x = inputs_near(0.0, [2, 9, 15])
    reference = reference_of(Network(torch.sign), x)
    assert reference.explain([x], [wrong(answer) for answer in reference.run([x])], 1e-4) is None


def test_decisions_that_no_rounding_reaches_stay():
    x, other = inputs_near(0.0, [3], 1e-3), inputs_near(0.0, [3], -1e-3)
    reference = reference_of(Network(torch.sign), x)
    assert reference.explain([x], reference.run([other]), 1e-4) is None


def test_weights_are_no_matter_of_rounding():
    class Binary(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.weight = nn.Parameter(torch.full((3, 16), value))

        def forward(self, x):
            return functional.linear(torch.sign(x), torch.sign(self.weight))

    x = np.abs(inputs_near(0.0, []))
    other = reference_of(Binary(-TINY), x).run([x])
    np.testing.assert_array_equal(other, [[[-16.0, -16.0, -16.0]]])
    assert reference_of(Binary(TINY), x).explain([x], other, 1e-4) is None


def test_the_search_ends(monkeypatch):
    monkeypatch.setattr(near_ties, "MOST_TRIALS", 2)
    places = [2, 5, 9, 15]
    x, other = inputs_near(0.0, places), inputs_near(0.0, places, -TINY)
    reference = reference_of(Network(torch.sign), x)
    assert reference.explain([x], reference.run([other]), 1e-4) is None


def test_several_outputs_and_integers():
    class Two(nn.Module):
        def forward(self, x, tokens):
            signs = torch.sign(x) * (tokens > 2)
            return signs.sum(dim=1), signs * 2

    x, other = inputs_near(0.0, [3]), inputs_near(0.0, [3], -TINY)
    tokens = np.arange(16)[None]
    program = torch.export.export(Two().eval(), (torch.from_numpy(x), torch.from_numpy(tokens)))
    reference = TorchReference(program)
    explanation = reference.explain([x, tokens], reference.run([other, tokens]), 1e-4)
    assert [answer.shape for answer in explanation.answers] == [(1,), (1, 16)]
    assert explanation.decisions == 1
