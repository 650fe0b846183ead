"""Samples that look for trouble find it: what random numbers never show is refused by name, or said."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tvm_bnn.front_ends.opening import open_model
from tvm_bnn.verifying.trouble import ask, judge
from tvm_bnn.verifying.trouble_samples import finite_kinds, other_kinds

IMAGE = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
FLOAT_KINDS = [kind.name for kind in finite_kinds([IMAGE], [None])]


class Scores(nn.Module):
    """A few scores of an image; what is done to it before is a function."""

    def __init__(self, function=lambda x: x):
        super().__init__()
        self.function = function
        self.register_buffer("weight", torch.randn(4, 192, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return functional.linear(self.function(x).flatten(1), self.weight)


def trouble_of(module, wrong, exact=True, tolerance=1e-3):
    """Judge the answers of ``wrong`` against those of ``module``."""
    reference = open_model(module.eval(), (torch.from_numpy(IMAGE),)).reference("exact")
    questions = ask(reference, [IMAGE])
    with torch.no_grad():
        answers = [[wrong(torch.from_numpy(batch[0])).numpy()] for batch in questions.batches]
    return judge(reference, questions, answers, tolerance, exact)


def test_kinds_differ_in_what_they_hold():
    kinds = {kind.name: kind.inputs[0] for kind in finite_kinds([IMAGE], [None])}
    assert not kinds["black"].any()
    assert len(np.unique(kinds["constant"])) == 1
    np.testing.assert_array_equal(kinds["half black"][..., :4], IMAGE[..., :4])
    assert not kinds["half black"][..., 4:].any()
    np.testing.assert_array_equal(kinds["one row repeated"], np.repeat(IMAGE[..., :1, :], 8, axis=-2))
    for name in ("whole numbers from 0 to 255", "small whole numbers"):
        np.testing.assert_array_equal(kinds[name], kinds[name].round())
    assert all(array.shape == IMAGE.shape and array.dtype == IMAGE.dtype for array in kinds.values())


@pytest.mark.parametrize("shape", [(5,), (1, 1), (3, 7), (0, 4)])
def test_kinds_exist_for_every_shape(shape):
    x = np.ones(shape, np.float32)
    kinds = finite_kinds([x], [None])
    assert [kind.inputs[0].shape for kind in kinds] == [shape] * len(FLOAT_KINDS)
    assert len(other_kinds([x])) == (3 if x.size else 0)


def test_tokens_go_over_the_range_that_the_table_allows():
    tokens, mask = np.arange(6).reshape(1, 6), np.ones((1, 6), np.int64)
    kinds = finite_kinds([tokens, mask], [30, None])
    lowest, highest, spread = (kind.inputs[0] for kind in kinds)
    assert (lowest.max(), highest.min(), highest.max()) == (0, 29, 29)
    assert spread.min() >= 0
    assert 6 <= spread.max() < 30
    assert all((kind.inputs[1] == mask).all() for kind in kinds)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.long, self.short = nn.Embedding(50, 8), nn.Embedding(20, 8)

    def forward(self, tokens, positions, x):
        return self.long(tokens) + self.short(tokens.to(torch.int32)) + self.long(positions.view(1, 4)) + x


def test_the_smallest_table_that_an_input_indexes_limits_it():
    inputs = torch.zeros(1, 4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64), torch.zeros(1, 4, 8)
    assert open_model(Tokens(), inputs).reference("exact").index_limits() == [20, 50, None]


def test_what_agrees_on_every_kind_is_named_as_tried():
    module = Scores()
    trouble = trouble_of(module, module)
    assert trouble.tried == tuple(FLOAT_KINDS)
    assert (trouble.failed, trouble.undecided, trouble.not_taken, trouble.not_finite) == ((), (), (), ())


def test_zeros_that_count_as_plus_one_are_found_in_black_pixels():
    module, wrong = Scores(torch.sign), Scores(lambda x: torch.where(x >= 0, 1.0, -1.0))
    trouble = trouble_of(module, wrong)
    # One of 256 numbers need not be among those of the pixels.
    found = {text.split(" (")[0] for text in trouble.failed} - {"whole numbers from 0 to 255"}
    assert found == {"black", "half black", "small whole numbers"}
    assert "384 signs of an exact zero" in trouble.failed[0]
    assert not trouble_of(module, wrong, exact=False).failed


def test_what_rounding_decides_for_the_reference_too_is_no_failure():
    def of_rounding(x):
        return torch.sign(x * 0.3 - x * 0.1 * 3)

    trouble = trouble_of(Scores(of_rounding), Scores(lambda x: -of_rounding(x)))
    assert not trouble.failed
    assert {"half black", "one row repeated"} < set(trouble.undecided)


def test_numbers_that_are_not_finite_fail_whatever_is_asked():
    wrong = Scores(lambda x: torch.where(x.abs().amax() == 0, torch.inf, 1.0) * x)
    for exact in (True, False):
        trouble = trouble_of(Scores(), wrong, exact)
        assert trouble.failed == ("black (not finite where the reference is)",)
        assert trouble.broken == 1


def test_inputs_that_are_not_finite_are_tried_and_said():
    trouble = trouble_of(Scores(), Scores(torch.nan_to_num))
    assert trouble.not_finite == ("NaN", "infinity", "minus infinity")
    assert not trouble.failed


def test_what_the_reference_does_not_take_is_said():
    class Picky(Scores):
        def forward(self, x):
            torch._assert_async(x.abs().sum() != 0)
            return super().forward(x)

    trouble = trouble_of(Picky(), Scores())
    assert trouble.not_taken == ("black",)
    assert "black" not in trouble.tried
