"""One rounding, held against exact arithmetic."""

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from relay_passes.analysis.multiply_add import multiply_add

FLOATS = st.floats(-(2.0**40), 2.0**40, width=32)


def nearest(exact):
    """Return the float32 next to a fraction, the even one of two."""
    low = np.float32(float(exact))
    candidates = {float(np.nextafter(low, np.float32(side))) for side in (-np.inf, np.inf)} | {float(low)}
    return min(candidates, key=lambda value: (abs(Fraction(value) - exact), int(np.float32(value).view(np.int32)) & 1))


@given(FLOATS, FLOATS, FLOATS)
# In float64 these round to the middle between two float32 numbers, and from there to the wrong one.
@example(1.0, 1.0 + 2.0**-23, 2.0**-24 + 2.0**-47)
@example(float(np.float32(1 + 2.0**-12)), float(np.float32(1 + 2.0**-12)), 2.0**-60)
def test_the_result_is_the_float_next_to_the_exact_sum(x, a, b):
    found = multiply_add(*(np.array([value], np.float32) for value in (x, a, b)))
    assert found.dtype == np.float32
    x, a, b = (Fraction(float(np.float32(value))) for value in (x, a, b))
    assert float(found[0]) == nearest(x * a + b)


def test_what_is_not_finite_stays_so():
    x = np.array([np.nan, np.inf, -np.inf, 3e38], np.float32)
    np.testing.assert_array_equal(multiply_add(x, np.float32(2), np.float32(1)), [np.nan, np.inf, -np.inf, np.inf])


def test_other_types_are_rounded_as_they_are():
    assert multiply_add(np.array([2]), np.array([3]), np.array([4])) == [10]
    assert multiply_add(np.array([0.1]), np.array([3.0]), np.array([1.0])).dtype == np.float64
