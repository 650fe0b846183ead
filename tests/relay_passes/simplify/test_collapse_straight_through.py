from tvm.script import ir as I
from tvm.script import relax as R

from relay_passes.simplify.collapse_straight_through import collapse_straight_through


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
