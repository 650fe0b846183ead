"""Elementary functions of float32 as arithmetic, so that vectors of them stay vectors.

There is no vector ``exp`` in LLVM: it calls the C library once for each lane, and the GELU of a transformer then takes
ten times as long as its binary layers. Here each function is a polynomial on a short interval, fitted by Lawson's
iteration to an error far below that of float32 (2**-24), and a step that leads there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr as Index

#: Coefficients by rising power: of (exp(r) - 1 - r) / r**2 in r, for |r| <= log(2) / 2; relative error 5e-11.
_EXP = (5.00000007e-01, 1.66666659e-01, 4.16662944e-02, 8.33349734e-03, 1.39447036e-03, 1.97902983e-04)
#: Of erf(x) / x - 1 in x**2, for |x| < _ERF_SMALL; 2e-8.
_ERF = (1.2837915e-01, -3.7612481e-01, 1.1281683e-01, -2.676172e-02, 4.98594e-03, -5.9537e-04)
#: Of -log(1 - erf(x)) / x - 1 in x, for _ERF_SMALL <= x <= _ERF_IS_ONE; 3e-9.
_ERFC = (1.28512679e-01, 6.35723981e-01, 1.05254406e-01, -2.28852110e-02, 3.21347734e-03, -2.13806034e-04)
#: Of (tanh(x) / x - 1) / x**2 in x**2, for |x| < _TANH_SMALL; 4e-9.
_TANH = (-0.33333282, 0.13331431, -0.05373876, 0.02063582, -0.00570118)
_ERF_SMALL, _TANH_SMALL = 0.93, 0.6255
#: Beyond these, exp is zero and infinite.
_EXP_IS_ZERO, _EXP_IS_INFINITE = -104.0, 89.0
#: Where PyTorch's kernels reach their last values, which a sign behind them may ask for: from here on, sigmoid is zero
#: (its exponential is infinite), the hyperbolic tangent is one, and the error function is one, and not before.
_SIGMOID_IS_ZERO, _TANH_IS_ONE, _ERF_IS_ONE = -88.72283935546875, 9.01084041595459, 3.927734375
_BELOW_ONE = 1 - 2.0**-24
_LOG2_E = 1.44269504
#: log(2) in two parts; the first has few enough digits for its multiples to be exact.
_LOG_2 = (0.693359375, -2.12194440e-4)
#: Leaves the nearest integer in the last bits of what it is added to.
_ROUNDING = 1.5 * 2**23
_MANTISSA_BITS, _BIAS, _SIGN = 23, 127, -(2**31)


class _Steps:
    """Arithmetic on one type, float32 or a vector of it; what is used more than once is computed once."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self._integers = dtype.replace("float", "int")
        self._bound: list[tuple[tirx.Var, Index]] = []

    def once(self, value: Index) -> tirx.Var:
        """Name a value, to use it several times."""
        var = tirx.Var(f"step{len(self._bound)}", value.ty.dtype)
        self._bound.append((var, value))
        return var

    def whole(self, result: Index) -> Index:
        """Return one expression with all the steps in it."""
        for var, value in reversed(self._bound):
            result = tirx.Let(var, value, result)
        return result

    def number(self, value: float) -> Index:
        return tirx.const(value, self.dtype)

    def integer(self, value: int) -> Index:
        return tirx.const(value, self._integers)

    def bits(self, x: Index) -> Index:
        return tirx.reinterpret(self._integers, x)

    def float_of(self, bits: Index) -> Index:
        return tirx.reinterpret(self.dtype, bits)

    def multiply_add(self, a: Index, b: Index, c: Index) -> Index:
        """``a * b + c``, in one instruction where there is such."""
        return tirx.call_llvm_pure_intrin(self.dtype, "llvm.fmuladd", a, b, c)

    def polynomial(self, coefficients: Sequence[float], x: Index) -> Index:
        total = self.number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = self.multiply_add(total, x, self.number(coefficient))
        return total

    def at_most(self, x: Index, most: float) -> Index:
        """The smaller of the two; NaN stays NaN."""
        return tirx.Select(x > self.number(most), self.number(most), x)

    def at_least(self, x: Index, least: float) -> Index:
        return tirx.Select(x < self.number(least), self.number(least), x)

    def saturated(self, value: Index, size: Index, end: float) -> Index:
        """One from ``end`` on, and below one before; NaN stays NaN."""
        one = self.number(1.0)
        return tirx.Select(size >= self.number(end), one, self.at_most(value, _BELOW_ONE))

    def magnitude(self, x: Index) -> Index:
        return self.float_of(self.bits(x) & self.integer(~_SIGN))

    def with_sign_of(self, magnitude: Index, x: Index) -> Index:
        return self.float_of(self.bits(magnitude) | (self.bits(x) & self.integer(_SIGN)))

    def power_of_two(self, exponent: Index) -> Index:
        return self.float_of((exponent + self.integer(_BIAS)) << self.integer(_MANTISSA_BITS))

    def exp(self, x: Index) -> Index:
        """``2**n * exp(r)`` with an integer n and a short r; the power in two factors, as its ends are no floats."""
        x = self.once(self.at_least(self.at_most(x, _EXP_IS_INFINITE), _EXP_IS_ZERO))
        rounded = self.once(self.multiply_add(x, self.number(_LOG2_E), self.number(_ROUNDING)))
        times = self.once(rounded - self.number(_ROUNDING))
        rest = x
        for part in _LOG_2:
            rest = self.multiply_add(times, self.number(-part), rest)
        rest = self.once(rest)
        value = self.multiply_add(self.polynomial(_EXP, rest), rest * rest, rest) + self.number(1.0)
        exponent = self.once(self.bits(rounded) - self.bits(self.number(_ROUNDING)))
        half = self.once(exponent >> self.integer(1))
        return value * self.power_of_two(half) * self.power_of_two(exponent - half)


def exp(steps: _Steps, x: Index) -> Index:
    """Return e to the power of x."""
    return steps.exp(x)


def sigmoid(steps: _Steps, x: Index) -> Index:
    """``1 / (1 + exp(-x))``, by the exponential of ``-|x|``, which does not overflow."""
    x = steps.once(x)
    part = steps.once(steps.exp(steps.number(0.0) - steps.magnitude(x)))
    value = tirx.Select(x < steps.number(0.0), part, steps.number(1.0)) / (steps.number(1.0) + part)
    return tirx.Select(x <= steps.number(_SIGMOID_IS_ZERO), steps.number(0.0), value)


def tanh(steps: _Steps, x: Index) -> Index:
    """A polynomial near zero, ``1 - 2 / (exp(2 |x|) + 1)`` with the sign of x elsewhere."""
    x = steps.once(x)
    square = steps.once(x * x)
    small = steps.multiply_add(steps.polynomial(_TANH, square) * square, x, x)
    size = steps.once(steps.magnitude(x))
    large = steps.number(1.0) - steps.number(2.0) / (steps.exp(size + size) + steps.number(1.0))
    large = steps.saturated(large, size, _TANH_IS_ONE)
    return tirx.Select(size < steps.number(_TANH_SMALL), small, steps.with_sign_of(large, x))


def erf(steps: _Steps, x: Index) -> Index:
    """A polynomial near zero, ``1 - exp(-|x| (1 + q(|x|)))`` with the sign of x elsewhere."""
    x = steps.once(x)
    small = steps.multiply_add(steps.polynomial(_ERF, steps.once(x * x)), x, x)
    size = steps.once(steps.at_most(steps.magnitude(x), _ERF_IS_ONE))
    exponent = steps.multiply_add(steps.polynomial(_ERFC, size), size, size)
    large = steps.number(1.0) - steps.exp(steps.number(0.0) - exponent)
    large = steps.saturated(large, size, _ERF_IS_ONE)
    return tirx.Select(size < steps.number(_ERF_SMALL), small, steps.with_sign_of(large, x))


#: By TIR's name.
FUNCTIONS: dict[str, Callable[[_Steps, Index], Index]] = {
    f"tirx.{function.__name__}": function for function in (exp, sigmoid, tanh, erf)
}


def _expanded(call: tvm.ir.Call) -> Index:
    function = FUNCTIONS.get(str(getattr(call.op, "name", "")))
    if function is None or not str(call.ty.dtype).startswith("float32"):
        return call
    steps = _Steps(str(call.ty.dtype))
    return steps.whole(function(steps, call.args[0]))


@tirx.transform.prim_func_pass(opt_level=0, name="ExpandElementary")  # type: ignore[untyped-decorator]
def expand_elementary(function: tirx.PrimFunc, _module: tvm.IRModule, _context: object) -> tirx.PrimFunc:
    """Replace every call of an elementary function by its arithmetic."""
    return tvm_ffi.structural_map(function, (tvm.ir.Call, _expanded))
