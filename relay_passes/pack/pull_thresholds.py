"""Compare what is computed anyway, not a shifted or scaled copy of it.

Before: ``pack(x + b, 0)`` with ``b`` per channel, as a learned threshold (RSign) has it.
After:  ``pack(x, tau)`` with ``tau`` the least float32 whose sum with ``b`` is not negative.

So what a layer hands on as numbers is also what it packs, in one kernel. Rounding keeps order, so a chain of shifts,
scales, clips and rectifications of one value switches once; where, is found by bisection over all float32 numbers, and
exact wherever no NaN comes up.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from relay_passes import dialect
from relay_passes.analysis.evaluate import Array, evaluate
from relay_passes.analysis.per_channel import is_per_channel
from relay_passes.rewrite import Expr, Rewriter, array_of, constant, is_constant, is_tensor, op_name, readers
from schedules.kernels.binary import bits

_PACK = "relax.bnn.pack"
_MULTIPLY_ADD = "relax.bnn.multiply_add"
_KEEP_ORDER = frozenset({"relax.nn.relu", "relax.clip"})
_SHIFTS = frozenset({"relax.add", "relax.subtract"})
_SCALES = frozenset({"relax.multiply", "relax.divide"})


class _Pull(Rewriter):
    def begin(self, function: relax.Function) -> None:
        """Count who reads what."""
        self._read_once = {var for var, count in readers(function).items() if count == 1}
        self._once: set[relax.Var] = set()

    def copy(self, binding: relax.VarBinding) -> None:
        super().copy(binding)
        if binding.var in self._read_once and isinstance(self.renamed[binding.var], relax.Var):
            self._once.add(self.renamed[binding.var])

    def call(self, node: relax.Call) -> Expr:
        if op_name(node) != _PACK or dialect.dtype_of(node.args[0]) != "float32" or node.attrs["classes"]:
            return node
        source, steps = self._chain(node.args[0])
        if not steps:
            return node
        channels = dialect.shape_of(source)[-1]
        direction = np.ones(channels)
        for step in reversed(steps):
            direction = direction * _direction(step, channels)
        tau = array_of(node.args[1])

        def is_on(values: Array) -> Array:
            for step in reversed(steps):
                values = evaluate(step, [_operand(arg, values) for arg in step.args if is_tensor(arg)])
            on: Array = values >= tau
            return on

        switch, rises = switch_of(is_on, direction)
        word_bits, groups = int(node.attrs["word_bits"]), int(node.attrs["groups"])
        flip = array_of(node.args[2]) ^ bits.pack_bools(~rises, word_bits, groups)
        return dialect.pack(source, constant(switch), constant(flip), word_bits, groups)

    def _chain(self, value: Expr) -> tuple[Expr, list[relax.Call]]:
        """Return the value at the bottom of a monotone chain that nobody else reads, and the chain from its top."""
        steps: list[relax.Call] = []
        while isinstance(value, relax.Var) and value in self._once:
            made = self.definition(value)
            below = _below(made)
            if below is None or dialect.shape_of(below) != dialect.shape_of(value):
                break
            steps.append(made)
            value = below
        return value, steps


def _operand(value: Expr, values: Array) -> Array:
    return array_of(value).reshape(-1) if is_constant(value) else values


def _below(made: Expr) -> Expr | None:
    """Return the one operand that is no per-channel constant, if the operator keeps or reverses order in it."""
    name = op_name(made)
    if name in _KEEP_ORDER:
        return made.args[0]
    if name == _MULTIPLY_ADD:
        x, *factors = made.args
        return x if all(map(is_per_channel, factors)) and not is_constant(x) else None
    if name not in _SHIFTS | _SCALES:
        return None
    left, right = made.args
    if is_per_channel(right) and not is_constant(left):
        return left
    return right if is_per_channel(left) and not is_constant(right) and name != "relax.divide" else None


def _direction(step: relax.Call, channels: int) -> Array:
    """Return +1, -1 or 0 for each channel: whether a step keeps order, reverses it, or forgets it."""
    name = op_name(step)
    if name in _KEEP_ORDER or name == "relax.add":
        return np.ones(channels)
    if name == "relax.subtract":
        return np.full(channels, 1.0 if is_constant(step.args[1]) else -1.0)
    # Of a product with one rounding too, the second operand is the factor.
    factor = step.args[1] if is_constant(step.args[1]) else step.args[0]
    return np.broadcast_to(np.sign(array_of(factor).reshape(-1)), channels).astype(float)


def switch_of(
    is_on: Callable[[Array], Array], direction: Array
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Find where a condition on float32 numbers switches, for each channel.

    Parameters
    ----------
    is_on
        Evaluates the condition for ``(channels,)`` numbers.
    direction
        Positive where the condition can only become true as numbers grow, negative where it can only become false.

    Returns
    -------
    ``tau`` and ``rises`` with ``is_on(x) == ((x >= tau) == rises)`` for every number.
    """
    rises = direction >= 0
    low = np.full(len(direction), _key(np.float32(-np.inf)), np.int64)
    high = np.full(len(direction), _key(np.float32(np.inf)) + 1, np.int64)
    # The invariant: everything below `low` is on the near side, `high` and everything above on the far side.
    while (low < high).any():
        middle = (low + high) // 2
        far = is_on(_number(np.minimum(middle, _key(np.float32(np.inf))))) == rises
        far |= middle > _key(np.float32(np.inf))
        high = np.where(far & (low < high), middle, high)
        low = np.where(~far & (low < high), middle + 1, low)
    never = high > _key(np.float32(np.inf))
    # No number is not less than NaN.
    tau = np.where(never, np.float32(np.nan), _number(np.minimum(high, _key(np.float32(np.inf)))))
    return tau.astype(np.float32), rises


def _key(value: np.float32) -> int:
    """Return an integer that grows with the number."""
    word = int(np.array(value, np.float32).view(np.int32))
    return word if word >= 0 else -(word & 0x7FFFFFFF)


def _number(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    words = np.where(keys >= 0, keys, (-keys) | 0x80000000).astype(np.uint32)
    return words.view(np.float32)


def pull_thresholds(module: tvm.IRModule) -> tvm.IRModule:
    """Let packs compare the values below monotone per-channel chains."""
    return _Pull().run(module)
