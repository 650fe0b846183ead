"""No sabotage passes: a compiled model that answers something else is refused, whatever family it is of.

What is held against the reference here are its own answers, spoilt: that costs no compilation. A flipped bit of a
weight is that of the module, whose answers are what a compiled model with such a bit would answer.
"""

import copy

import numpy as np
import pytest
import torch

from experiments.families.catalog import FAMILIES
from tvm_bnn.front_ends.opening import open_model
from tvm_bnn.verifying.verdict import asked_of, verdict

NAMES = (
    *("MLP, sign of data", "BinaryNet VGG", "XNOR-Net LeNet", "DoReFa, rounded to one bit", "HORQ, second order"),
    *("Bi-Real Net", "ReActNet-A", "AdaBin, offset outside the scale", "MeliusNet", "BiBERT", "BiPointNet"),
    "DoReFa, two-bit activations",
)
BATCHES = 16
MOST_FLIPS = 200


def swapped(array):
    """Return an output with its first channel and another one that differs from it exchanged."""
    spoilt, flat = array.copy(), array.reshape(len(array), array.shape[1] if array.ndim > 1 else 1, -1)
    other = int(np.abs(flat - flat[:, :1]).sum((0, 2)).argmax())
    spoilt[:, [0, other]] = array[:, [other, 0]]
    return spoilt


GENERATOR = np.random.default_rng(0)
SABOTAGE = {
    "zeros": np.zeros_like,
    "negated": lambda array: -array,
    "shuffled": lambda array: GENERATOR.permutation(array.reshape(-1)).reshape(array.shape),
    "noise": lambda array: GENERATOR.standard_normal(array.shape).astype(array.dtype),
    "one channel swapped": swapped,
    "NaN": lambda array: np.full_like(array, np.nan),
    "off by a thousandth": lambda array: array + 1e-3 * np.abs(array).max(),
}


@pytest.fixture(scope="module", params=NAMES)
def checked(request):
    """A module, its samples and what its reference says of them."""
    (family,) = [family for family in FAMILIES if family.name == request.param]
    module, inputs = family.build(), family.inputs()
    generator = torch.Generator().manual_seed(0)
    reference = open_model(copy.deepcopy(module), inputs).reference("exact")
    batches = [
        [(torch.randn(x.shape, generator=generator) if x.is_floating_point() else x).numpy() for x in inputs]
        for _ in range(BATCHES)
    ]
    return module, asked_of(reference, "random", batches)


def answers_of(asked):
    return [*asked.expected, *(question.expected for question in (*asked.questions.finite, *asked.questions.other))]


def test_what_nobody_spoils_passes(checked):
    _, asked = checked
    found = verdict(asked, answers_of(asked), "natively")
    assert (found.disagreement, found.parity.agreeing) == ("", found.parity.samples)
    assert not found.trouble.undecided


@pytest.mark.parametrize("name", SABOTAGE)
def test_spoilt_answers_are_refused(checked, name):
    _, asked = checked
    spoilt = [[SABOTAGE[name](array) for array in answer] for answer in answers_of(asked)]
    found = verdict(asked, spoilt, "natively")
    assert found.disagreement
    assert not found.parity.passed


def test_a_flipped_bit_of_a_weight_is_refused_where_it_changes_a_prediction(checked):
    module, asked = checked
    generator = torch.Generator().manual_seed(0)
    weights = [name for name, value in module.named_parameters() if value.dim() > 1 and value.numel() > 1]
    for index in range(MOST_FLIPS):
        spoilt = copy.deepcopy(module)
        weight = spoilt.get_parameter(weights[index % len(weights)])
        place = int(torch.randint(weight.numel(), (), generator=generator))
        with torch.no_grad():
            weight.view(-1)[place] *= -1
            if changes_a_prediction(spoilt, asked):
                break
    else:
        pytest.fail("no flip changes a prediction")
    with torch.no_grad():
        outputs = [answer_of(spoilt, batch) for batch in asked.samples]
    # Only ordinary samples count here: the others must not be what finds it.
    found = verdict(asked, [*outputs, *answers_of(asked)[len(outputs) :]], "natively")
    assert not found.parity.passed


def changes_a_prediction(module, asked):
    return any(
        bool((answer_of(module, batch)[0].argmax(1) != expected[0].argmax(1)).any())
        for batch, expected in zip(asked.samples, asked.expected, strict=True)
    )


def answer_of(module, batch):
    result = module(*(torch.from_numpy(array.copy()) for array in batch))
    return [tensor.numpy() for tensor in ([result] if isinstance(result, torch.Tensor) else result)]
