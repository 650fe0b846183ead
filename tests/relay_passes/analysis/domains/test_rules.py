"""Whatever is claimed of a tensor's values holds for the values that it takes, and the claims are not empty."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from relay_passes.analysis.evaluate import evaluate
from relay_passes.analysis.value_domain import ValueDomains
from relay_passes.analysis.values import Values
from relay_passes.rewrite import array_of, bindings, is_constant, is_tensor

SHAPE = (4, 6, 8)
OP = relax.op


def number(value):
    return relax.const(np.float32(value))


def cast(b, x, dtype):
    return OP.astype(b.emit(OP.astype(x, dtype)), "float32")


def of_largest(b, x):
    largest = b.emit(OP.max(b.emit(OP.abs(x)), [2], keepdims=True))
    return OP.divide(x, b.emit(OP.add(largest, number(1e-3))))


def of_norm(b, x):
    return OP.divide(x, b.emit(OP.sqrt(b.emit(OP.sum(b.emit(OP.multiply(x, x)), [1], keepdims=True)))))


#: Operators on one tensor; each also says how it looks to a reader.
STEPS = {
    "round": lambda b, x: OP.round(x),
    "floor": lambda b, x: OP.floor(x),
    "ceil": lambda b, x: OP.ceil(x),
    "trunc": lambda b, x: OP.trunc(x),
    "% 2": lambda b, x: OP.floor_mod(x, number(2)),
    "% -3": lambda b, x: OP.floor_mod(x, number(-3)),
    "fmod 2": lambda b, x: OP.mod(x, number(2)),
    "int": lambda b, x: cast(b, x, "int32"),
    "bool": lambda b, x: cast(b, x, "bool"),
    "sign": lambda b, x: OP.sign(x),
    "> 0": lambda b, x: OP.astype(b.emit(OP.greater(x, number(0))), "float32"),
    "clip -1 1": lambda b, x: OP.clip(x, -1, 1),
    "clip 0 3": lambda b, x: OP.clip(x, 0, 3),
    "clip -.3 .7": lambda b, x: OP.clip(x, -0.3, 0.7),
    "relu": lambda b, x: OP.nn.relu(x),
    "abs": lambda b, x: OP.abs(x),
    "negative": lambda b, x: OP.negative(x),
    "tanh": lambda b, x: OP.tanh(x),
    "sigmoid": lambda b, x: OP.sigmoid(x),
    "exp": lambda b, x: OP.exp(x),
    "square": lambda b, x: OP.multiply(x, x),
    "power 2": lambda b, x: OP.power(x, number(2)),
    "power 3": lambda b, x: OP.power(x, number(3)),
    "* 0.5": lambda b, x: OP.multiply(x, number(0.5)),
    "* -3": lambda b, x: OP.multiply(number(-3), x),
    "/ 0.25": lambda b, x: OP.divide(x, number(0.25)),
    "+ 0.5": lambda b, x: OP.add(x, number(0.5)),
    "1 -": lambda b, x: OP.subtract(number(1), x),
    "maximum": lambda b, x: OP.maximum(x, number(-0.5)),
    "minimum": lambda b, x: OP.minimum(number(2), x),
    "mean": lambda b, x: OP.mean(x, [1], keepdims=True),
    "sum": lambda b, x: OP.sum(x, [0], keepdims=True),
    "by the largest": of_largest,
    "by the norm": of_norm,
}
#: Those that may bring to zero what piles up elsewhere, at the ends of a clip or of a float's range; and sums of so few
#: numbers that they may all be zeros.
MOVES_PILES = {"+ 0.5", "1 -", "% 2", "% -3", "fmod 2", "exp", "sigmoid", "by the norm", "mean", "sum"}
#: Operators on two tensors.
JOINTS = {
    "+": lambda b, x, y: OP.add(x, y),
    "-": lambda b, x, y: OP.subtract(x, y),
    "*": lambda b, x, y: OP.multiply(x, y),
    "max": lambda b, x, y: OP.maximum(x, y),
    "min": lambda b, x, y: OP.minimum(x, y),
    "where": lambda b, x, y: OP.where(b.emit(OP.less(x, y)), x, y),
}


def chained(steps, joint=None, others=()):
    """A function of one real input without exact zeros: steps on it, perhaps joined with other steps on it."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            shifted = builder.emit(OP.add(x, number(0.0625)))
            made = shifted
            for step in steps:
                made = builder.emit(STEPS[step](builder, made))
            if joint is not None:
                other = shifted
                for step in others:
                    other = builder.emit(STEPS[step](builder, other))
                made = builder.emit(JOINTS[joint](builder, made, other))
            y = builder.emit_output(made)
        builder.emit_func_output(y)
    return builder.get()["main"]


def claimed(function) -> Values:
    domains = ValueDomains.of_function(function)
    return domains.values(function.body.blocks[0].bindings[-1].var)


def computed(function, x):
    """The values that the function's last variable takes."""
    known = {function.params[0]: x}
    for binding in bindings(function):
        if not isinstance(binding.value, relax.Call):
            known[binding.var] = known[binding.value]
            continue
        tensors = [arg for arg in binding.value.args if is_tensor(arg)]
        known[binding.var] = evaluate(binding.value, [array_of(a) if is_constant(a) else known[a] for a in tensors])
    return known[function.body.blocks[0].bindings[-1].var]


def check(function, zeros=True):
    values, x = claimed(function), np.random.default_rng(0).normal(0, 1.5, SHAPE).astype(np.float32)
    found = computed(function, x).astype(np.float64)
    found = found[np.isfinite(found)]
    if not found.size:
        return
    slack = 1e-5 * max(1.0, np.abs(found).max())
    assert values.low - slack <= found.min()
    assert found.max() <= values.high + slack
    if values.few is not None:
        assert np.abs(found[:, None] - np.array(sorted(values.few))).min(axis=1).max() <= slack
    elif values.grid is not None:
        steps = (found - values.grid.origin) / values.grid.step
        assert np.abs(steps - np.round(steps)).max() <= 1e-2
    if zeros and not values.zeros:
        assert (found == 0).mean() < 0.2  # a few by rounding


steps = st.lists(st.sampled_from(sorted(STEPS)), max_size=4)


@settings(deadline=None, max_examples=250)
@given(steps=steps)
def test_what_is_claimed_of_a_chain_holds(steps):
    check(chained(steps), zeros=not MOVES_PILES & set(steps))


@settings(deadline=None, max_examples=150)
@given(steps=steps, joint=st.sampled_from(sorted(JOINTS)), others=steps)
def test_what_is_claimed_of_two_chains_that_meet_holds(steps, joint, others):
    check(chained(steps, joint, others), zeros=joint not in {"+", "-"} and not MOVES_PILES & {*steps, *others})


@pytest.mark.parametrize(
    ("others", "expected"),
    [(("clip -1 1",), {-1, 0, 1}), (("relu",), {-1, 0}), (("% 2",), {-1, 0, 1}), (("tanh",), {-1, 1})],
    ids=lambda value: " ".join(map(str, value)),
)
def test_a_difference_with_what_was_made_of_a_value_has_zeros_where_it_was_left(others, expected):
    function = chained((), "-", others)
    found = np.sign(computed(function, np.random.default_rng(0).normal(0, 3, SHAPE).astype(np.float32)))
    assert set(np.unique(found)) <= expected
    assert (0 in expected) == claimed(function).zeros


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("/ 0.25", "round", "clip -1 1", "* 0.5"), {-0.5, 0, 0.5}),
        (("floor", "clip 0 3"), {0, 1, 2, 3}),
        (("ceil", "clip -1 1"), {-1, 0, 1}),
        (("trunc", "* 0.5", "clip -1 1"), {-1, -0.5, 0, 0.5, 1}),
        (("round", "clip -.3 .7"), {-0.3, 0, 0.7}),
        (("floor", "% 2"), {0, 1}),
        (("floor", "% -3"), {-2, -1, 0}),
        (("trunc", "fmod 2"), {-1, 0, 1}),
        (("int", "clip 0 3"), {0, 1, 2, 3}),
        (("bool",), {0, 1}),
        (("sigmoid", "round"), {0, 1}),
        (("tanh", "* -3", "round"), {-3, -2, -1, 0, 1, 2, 3}),
        (("tanh", "square", "round"), {0, 1}),
        (("tanh", "power 2", "ceil"), {0, 1}),
        (("round", "sign"), {-1, 0, 1}),
        (("floor", "+ 0.5", "sign"), {-1, 1}),
        (("sign", "sum"), {-4, -2, 0, 2, 4}),
        (("sign", "mean", "sign"), {-1, 0, 1}),
        (("round", "sum", "sign"), {-1, 0, 1}),
        (("by the largest", "* -3", "round"), {-3, -2, -1, 0, 1, 2, 3}),
        (("by the norm", "round"), {-1, 0, 1}),
        (("exp", "square", "sign"), {1}),
        (("by the largest", "* 0.5", "tanh", "sign"), {-1, 1}),
        (("tanh",), None),
        (("square", "clip 0 3"), None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_few_values_by_other_routes_are_listed(steps, expected):
    few = claimed(chained(steps)).few
    assert few == (None if expected is None else frozenset(expected))


def test_a_norm_along_another_axis_says_nothing():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((6, 6), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            total = builder.emit(OP.sum(builder.emit(OP.abs(x)), [1], keepdims=False))
            y = builder.emit_output(builder.emit(OP.round(builder.emit(OP.divide(x, total)))))
        builder.emit_func_output(y)
    assert claimed(builder.get()["main"]).few is None


def test_picked_values_are_those_of_the_table():
    builder = relax.BlockBuilder()
    indices = relax.Var("indices", relax.TensorType((4,), "int64"))
    table = relax.const(np.where(np.arange(12).reshape(3, 4) % 2, 1, -1).astype(np.float32))
    with builder.function("main", [indices]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(OP.take(table, indices, axis=0)))
        builder.emit_func_output(y)
    assert claimed(builder.get()["main"]).few == {-1, 1}


def test_the_largest_of_signs_are_signs_and_their_positions_are_whole():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4, 8), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            top = builder.emit(OP.topk(builder.emit(OP.sign(builder.emit(OP.add(x, number(0.1))))), k=3, axis=1))
            values, positions = (builder.emit(relax.TupleGetItem(top, k)) for k in (0, 1))
            y = builder.emit_output(relax.Tuple([values, positions]))
        builder.emit_func_output(y)
    function = builder.get()["main"]
    domains = ValueDomains.of_function(function)
    first, second = (b.var for b in bindings(function) if isinstance(b.value, relax.TupleGetItem))
    assert domains.of(first) == {-1, 1}
    assert domains.of(second) is None
    assert domains.values(second).grid is not None
