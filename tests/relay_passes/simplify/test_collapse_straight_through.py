import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.rewrite import bindings, op_name
from relay_passes.simplify.collapse_straight_through import collapse_straight_through
from relay_passes.simplify.merge_equal_calls import merge_equal_calls
from relay_passes.simplify.narrow_broadcasts import narrow_broadcasts


@I.ir_module
class JustTheSign:
    @R.function
    def main(x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
        with R.dataflow():
            s = R.sign(x)
            y = R.multiply(s, R.const(2.0, "float32"))
            R.output(y)
        return y


def test_the_surrogate_goes(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
            with R.dataflow():
                c = R.clip(x, R.prim_value(-1), R.prim_value(1))
                s = R.sign(x)
                forward = R.subtract(s, c)
                straight = R.add(forward, c)
                y = R.multiply(straight, R.const(2.0, "float32"))
                R.output(y)
            return y

    expect(collapse_straight_through, Before, JustTheSign)


def test_the_order_of_the_sum_does_not_matter(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
            with R.dataflow():
                s = R.sign(x)
                forward = R.subtract(s, x)
                straight = R.add(x, forward)
                y = R.multiply(straight, R.const(2.0, "float32"))
                R.output(y)
            return y

    expect(collapse_straight_through, Before, JustTheSign)


def test_adding_and_then_subtracting_is_the_same_idiom(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
            with R.dataflow():
                s = R.sign(x)
                forward = R.add(s, x)
                straight = R.subtract(forward, x)
                y = R.multiply(straight, R.const(2.0, "float32"))
                R.output(y)
            return y

    expect(collapse_straight_through, Before, JustTheSign)


def test_a_difference_of_real_values_stays(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4,), "float32"), c: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
            with R.dataflow():
                difference = R.subtract(x, c)
                y = R.add(difference, c)
                R.output(y)
            return y

    expect(collapse_straight_through, Before, Before)


def test_another_summand_is_no_surrogate(expect):
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4,), "float32"), c: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
            with R.dataflow():
                s = R.sign(x)
                difference = R.subtract(s, c)
                y = R.add(difference, x)
                R.output(y)
            return y

    expect(collapse_straight_through, Before, Before)


#: Numbers before the occurrences of one surrogate, which add up to nothing.
CANCELLING = [(1.0, -1.0), (2.0, -1.0, -1.0), (0.5, 0.5, -1.0), (0.1, 0.2, -0.3), (3.0, -3.0), (-0.7, 1.7, -1.0)]
#: And those of look-alikes.
STAYING = [(1.0, -0.5), (1.0, 1.0), (2.0, -1.0), (1.0, -1.0, 0.01)]
SURROGATES = {
    "relax.clip": lambda b, x: relax.op.clip(x, -1, 1),
    "relax.tanh": lambda b, x: relax.op.tanh(x),
    "relax.exp": lambda b, x: relax.op.subtract(b.emit(relax.op.exp(x)), relax.const(1.0)),
    "relax.sin": lambda b, x: relax.op.multiply(x, b.emit(relax.op.sin(x))),
}
QUANTIZED = {
    "relax.sign": lambda b, x: relax.op.sign(x),
    "relax.round": lambda b, x: relax.op.round(b.emit(relax.op.multiply(x, relax.const(4.0)))),
    "relax.greater": lambda b, x: relax.op.astype(b.emit(relax.op.greater(x, relax.const(0.0))), "float32"),
}


class Spelling:
    """Builds a function of one input out of sums that are drawn at random."""

    def __init__(self, data):
        self.data, self.builder = data, relax.BlockBuilder()
        self.x = relax.Var("x", relax.TensorType((3, 4), "float32"))

    def module(self, make):
        """The module whose result is twice what ``make`` returns."""
        with self.builder.function("main", [self.x]):
            with self.builder.dataflow():
                y = self.builder.emit_output(relax.op.multiply(make(), relax.const(2.0)))
            self.builder.emit_func_output(y)
        return self.builder.get()

    def scaled(self, value, number):
        """``number * value`` in one of many ways; the value is spelled again each time."""
        emit, choice = self.builder.emit, self.data.draw(st.integers(0, 5))
        made = emit(value(self.builder, self.x))
        if choice == 0:
            return emit(relax.op.divide(made, relax.const(np.float32(1 / number))))
        if choice == 1:
            return emit(relax.op.negative(emit(relax.op.multiply(relax.const(np.float32(-number)), made))))
        if choice == 2:
            half = relax.const(np.float32(number / 2))
            return emit(relax.op.multiply(emit(relax.op.add(made, made)), half))
        if choice == 3:
            wide = emit(relax.op.astype(made, "float64"))
            return emit(relax.op.astype(emit(relax.op.multiply(wide, relax.const(number, "float64"))), "float32"))
        if choice == 4:
            return emit(relax.op.broadcast_to(emit(relax.op.multiply(made, relax.const(np.float32(number)))), (3, 4)))
        return emit(relax.op.multiply(made, relax.const(np.float32(number)))) if number != 1 else made

    def sum(self, terms):
        """The sum of values with numbers, in any order and nesting, by additions, subtractions and factors in front."""
        emit = self.builder.emit
        terms = self.data.draw(st.permutations(terms))
        factor = self.data.draw(st.sampled_from([1.0, 0.5, -2.0]))
        waiting = [self.scaled(value, number / factor) for value, number in terms]
        while len(waiting) > 1:
            first = waiting.pop(self.data.draw(st.integers(0, len(waiting) - 1)))
            second = waiting.pop(self.data.draw(st.integers(0, len(waiting) - 1)))
            if self.data.draw(st.booleans()):
                waiting.append(emit(relax.op.subtract(first, emit(relax.op.negative(second)))))
            else:
                waiting.append(emit(relax.op.add(first, second)))
        return waiting[0] if factor == 1 else emit(relax.op.multiply(waiting[0], relax.const(np.float32(factor))))


def simplified(module):
    for transform in (narrow_broadcasts, merge_equal_calls, collapse_straight_through):
        module = transform(module)
    relax.analysis.well_formed(module)
    return module


def operators(module):
    return {op_name(binding.value) for binding in bindings(module["main"])}


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    few=st.sampled_from(sorted(QUANTIZED)),
    numbers=st.dictionaries(st.sampled_from(sorted(SURROGATES)), st.sampled_from(CANCELLING), min_size=1, max_size=2),
)
def test_whatever_cancels_goes_however_it_is_spelled(data, few, numbers):
    spelling = Spelling(data)
    surrogates = [(SURROGATES[name], number) for name, several in numbers.items() for number in several]
    made = simplified(spelling.module(lambda: spelling.sum([(QUANTIZED[few], 1.0), *surrogates])))
    assert few in operators(made)
    assert not operators(made) & set(SURROGATES)


@settings(deadline=None, max_examples=40)
@given(
    data=st.data(),
    name=st.sampled_from(sorted(SURROGATES)),
    staying=st.sampled_from(STAYING),
    other=st.sampled_from(CANCELLING),
)
def test_what_does_not_cancel_stays(data, name, staying, other):
    spelling = Spelling(data)
    others = [(SURROGATES[other_name], number) for other_name in SURROGATES if other_name != name for number in other]
    terms = [(QUANTIZED["relax.sign"], 1.0), *((SURROGATES[name], number) for number in staying), *others]
    module = spelling.module(lambda: spelling.sum(terms))
    assert operators(simplified(module)) & set(SURROGATES) == {name}


@settings(deadline=None, max_examples=30)
@given(data=st.data(), numbers=st.sampled_from(CANCELLING))
def test_nothing_goes_where_no_term_of_few_values_remains(data, numbers):
    spelling = Spelling(data)
    terms = [(SURROGATES["relax.exp"], 1.0), *((SURROGATES["relax.tanh"], number) for number in numbers)]
    module = spelling.module(lambda: spelling.sum(terms))
    assert {"relax.exp", "relax.tanh"} <= operators(simplified(module))


def made_by(make):
    """The operators left of what ``make`` returns for a builder, an input and a scale of each of its rows."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((3, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            scale = builder.emit(relax.op.mean(builder.emit(relax.op.abs(x)), [1], keepdims=True))
            y = builder.emit_output(relax.op.multiply(make(builder.emit, x, scale), relax.const(2.0)))
        builder.emit_func_output(y)
    return operators(simplified(builder.get()))


def test_a_scale_of_each_row_may_stand_inside_the_trick_or_in_front_of_it():
    def inside(emit, x, scale):
        c = emit(relax.op.tanh(x))
        return emit(relax.op.add(emit(relax.op.subtract(emit(relax.op.multiply(scale, emit(relax.op.sign(x)))), c)), c))

    def in_front(emit, x, scale):
        c = emit(relax.op.tanh(x))
        trick = emit(relax.op.subtract(emit(relax.op.sign(x)), c))
        return emit(relax.op.add(emit(relax.op.multiply(scale, trick)), emit(relax.op.multiply(c, scale))))

    def divided(emit, x, scale):
        c = emit(relax.op.tanh(x))
        trick = emit(relax.op.subtract(emit(relax.op.sign(x)), c))
        return emit(relax.op.add(emit(relax.op.divide(trick, scale)), emit(relax.op.divide(c, scale))))

    for make in (inside, in_front, divided):
        assert "relax.tanh" not in made_by(make)
        assert {"relax.sign", "relax.mean"} <= made_by(make)


def test_a_factor_of_each_element_is_no_scale_and_its_surrogate_stays():
    def magnitudes(emit, x, _scale):
        c = emit(relax.op.tanh(x))
        product = emit(relax.op.multiply(emit(relax.op.abs(x)), emit(relax.op.sign(x))))
        return emit(relax.op.add(emit(relax.op.subtract(product, c)), c))

    assert "relax.tanh" in made_by(magnitudes)


def test_rounding_by_a_large_number_is_a_tool_and_stays():
    def by_a_large_number(emit, x, _scale):
        large = relax.const(float(3 << 22))
        rounded = emit(relax.op.subtract(emit(relax.op.add(emit(relax.op.tanh(x)), large)), large))
        return emit(relax.op.add(rounded, emit(relax.op.sign(x))))

    assert "relax.tanh" in made_by(by_a_large_number)


def test_a_product_of_sums_is_no_trick():
    def cross_terms(emit, x, _scale):
        s, c = emit(relax.op.sign(x)), emit(relax.op.tanh(x))
        return emit(relax.op.multiply(emit(relax.op.add(s, c)), emit(relax.op.subtract(s, c))))

    assert "relax.tanh" in made_by(cross_terms)
