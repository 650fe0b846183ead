import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from relay_passes import pipeline
from relay_passes.analysis.layers import layers_of

RNG = np.random.default_rng(0)
TOKENS, DEPTH, OUT = 6, 32, 8
WEIGHT = RNG.choice(np.array([-1, 1], np.float32), (DEPTH, OUT))
KERNEL = RNG.choice(np.array([-1, 1], np.float32), (OUT, DEPTH, 3, 3))
POINTWISE = KERNEL[:, :, :1, :1].copy()


def mean_of(builder, x, axes):
    """One positive number for all of some axes, which stay with size 1."""
    return builder.emit(relax.op.mean(builder.emit(relax.op.abs(x)), axes, keepdims=True))


def by_product(emit, s, b, _x):
    return emit(relax.op.multiply(b, s))


def by_quotient(emit, s, b, _x):
    return emit(relax.op.divide(s, b))


def by_expand(emit, s, b, _x):
    return emit(relax.op.multiply(emit(relax.op.broadcast_to(b, [int(e) for e in s.ty.shape])), s))


def by_repeat(emit, s, b, _x):
    repeats = [int(e) // int(o) for e, o in zip(s.ty.shape, b.ty.shape, strict=True)]
    return emit(relax.op.multiply(s, emit(relax.op.tile(b, repeats))))


def by_expand_and_shift(emit, s, b, _x):
    wide = emit(relax.op.broadcast_to(b, [int(e) for e in s.ty.shape]))
    return emit(relax.op.multiply(emit(relax.op.add(wide, relax.const(0.5))), s))


def by_selection(emit, _s, b, x):
    condition = emit(relax.op.greater(x, relax.const(0.0)))
    return emit(relax.op.where(condition, b, emit(relax.op.negative(b))))


def by_common_factor(emit, _s, b, x):
    mask = emit(relax.op.astype(emit(relax.op.greater(x, relax.const(0.0))), "float32"))
    return emit(relax.op.subtract(emit(relax.op.multiply(emit(relax.op.multiply(relax.const(2.0), b)), mask)), b))


def in_the_trick(emit, s, b, x):
    difference = emit(relax.op.subtract(emit(relax.op.multiply(b, s)), x))
    return emit(relax.op.add(x, difference))


def twice(emit, s, b, x):
    return by_quotient(emit, by_product(emit, s, b, x), emit(relax.op.add(b, relax.const(1.0))), x)


SPELLINGS = (
    *(by_product, by_quotient, by_expand, by_repeat, by_expand_and_shift, by_selection, by_common_factor),
    *(in_the_trick, twice),
)


def module_of(shape, build):
    """A module of one input, shifted so that nothing is zero by construction."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            moved = builder.emit(relax.op.add(x, relax.const(0.1)))
            y = builder.emit_output(build(builder, moved))
        builder.emit_func_output(y)
    return builder.get()


def scaled(builder, x, spelling, axes):
    return spelling(builder.emit, builder.emit(relax.op.sign(x)), mean_of(builder, x, axes), x)


def linear(spelling, axes=(2,)):
    shape = (2, TOKENS, DEPTH)
    return module_of(shape, lambda b, x: relax.op.matmul(scaled(b, x, spelling, axes), relax.const(WEIGHT)))


def flat_linear(spelling):
    """PyTorch lays the rows of a linear layer flat."""

    def build(builder, x):
        rows = builder.emit(relax.op.reshape(scaled(builder, x, spelling, (2,)), (2 * TOKENS, DEPTH)))
        return relax.op.matmul(rows, relax.const(WEIGHT))

    return module_of((2, TOKENS, DEPTH), build)


def convolution(spelling, axes=(1, 2, 3), kernel=KERNEL):
    def build(builder, x):
        return relax.op.nn.conv2d(
            scaled(builder, x, spelling, axes), relax.const(kernel), padding=kernel.shape[-1] // 2
        )

    return module_of((2, DEPTH, 5, 5), build)


def scores(left, right, heads=False):
    """The product of the tokens' signs with each other, a scale a token on both sides; in two heads if wanted."""

    def build(builder, x):
        one, other = (scaled(builder, x, spelling, (2,)) for spelling in (left, right))
        if heads:
            split = [builder.emit(relax.op.reshape(each, (2, TOKENS, 2, DEPTH // 2))) for each in (one, other)]
            moved = [builder.emit(relax.op.permute_dims(each, [0, 2, 1, 3])) for each in split]
            one, other = (builder.emit(relax.op.reshape(each, (4, TOKENS, DEPTH // 2))) for each in moved)
        return relax.op.matmul(one, builder.emit(relax.op.permute_dims(other, [0, 2, 1])))

    return module_of((2, TOKENS, DEPTH), build)


def compiled(module):
    return pipeline.run(pipeline.run(module, pipeline.simplify()), pipeline.canonicalize())


def check(module, evaluate):
    """Assert that the only layer runs on bits, and that the result is that of the module as it was written."""
    (layer,) = layers_of(pipeline.run(module, pipeline.simplify()))
    assert layer.is_binary, layer.float_reason
    x = RNG.standard_normal([int(extent) for extent in module["main"].params[0].ty.shape]).astype(np.float32)
    wanted, found = evaluate(module, x), evaluate(compiled(module), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.__name__)
def test_a_scale_a_row_moves_behind_a_linear_layer(spelling):
    (layer,) = layers_of(pipeline.run(linear(spelling), pipeline.simplify()))
    assert layer.is_binary, layer.float_reason


@pytest.mark.parametrize("make", [linear, flat_linear, convolution], ids=lambda make: make.__name__)
def test_what_a_layer_gives_stays(make, evaluate):
    check(make({linear: by_common_factor, flat_linear: by_selection, convolution: twice}[make]), evaluate)


def test_a_scale_a_pixel_moves_behind_a_convolution_of_single_pixels(evaluate):
    check(convolution(by_product, (1,), POINTWISE), evaluate)


@settings(deadline=None, max_examples=6)
@given(left=st.sampled_from(SPELLINGS), right=st.sampled_from(SPELLINGS), heads=st.booleans())
def test_scales_on_both_sides_of_a_product_move_behind_it(left, right, heads):
    (layer,) = layers_of(pipeline.run(scores(left, right, heads), pipeline.simplify()))
    assert layer.is_binary, layer.float_reason


@pytest.mark.parametrize("heads", [False, True])
def test_scores_are_what_they_were(heads, evaluate):
    check(scores(by_quotient, in_the_trick, heads), evaluate)


@pytest.mark.parametrize(
    ("module", "what"),
    [
        (linear(by_product, (0, 1)), "a channel of the input"),
        (linear(by_expand, (0,)), "an element of the input"),
        (convolution(by_product, (0, 2, 3)), "a channel of the input"),
        (convolution(by_quotient, (1,)), "a position of the input"),
        (convolution(by_product, (0,)), "an element of the input"),
    ],
)
def test_a_factor_that_varies_along_the_sum_is_named(module, what):
    (layer,) = layers_of(pipeline.run(module, pipeline.simplify()))
    assert layer.float_reason == f"its input is {{-1, 1}} times reals: a factor {what} varies along the sum"


def test_a_factor_that_varies_along_a_second_operand_is_named():
    def build(builder, x):
        s = builder.emit(relax.op.sign(x))
        other = builder.emit(relax.op.permute_dims(scaled(builder, x, by_product, (0, 1)), [0, 2, 1]))
        return relax.op.matmul(s, other)

    (layer,) = layers_of(pipeline.run(module_of((2, TOKENS, DEPTH), build), pipeline.simplify()))
    wanted = "its second operand is {-1, 1} times reals: a factor a row of the second operand varies along the sum"
    assert layer.float_reason == wanted


def test_magnitudes_are_no_scale():
    def build(builder, x):
        product = builder.emit(relax.op.multiply(builder.emit(relax.op.abs(x)), builder.emit(relax.op.sign(x))))
        return relax.op.matmul(product, relax.const(WEIGHT))

    module = module_of((2, TOKENS, DEPTH), build)
    (layer,) = layers_of(pipeline.run(module, pipeline.simplify()))
    assert not layer.is_binary
    assert layer.float_reason.endswith("a factor an element of the input varies along the sum")


def test_real_values_have_no_few_valued_part():
    module = module_of((2, TOKENS, DEPTH), lambda _b, x: relax.op.matmul(x, relax.const(WEIGHT)))
    (layer,) = layers_of(pipeline.run(module, pipeline.simplify()))
    assert layer.float_reason == "its input takes many values, which are no sum of a few signs"
