"""The execution plan: every kernel call of a model in order, and where each of its tensors lies.

TVM's virtual machine makes objects for each call of a model. Shapes are static here, so all of that is decided at
compile time: what is left to do at run time is to call one kernel after the other on addresses that never change.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax
from tvm.relax.backend.cpu_generic import pipeline as cpu

from relay_passes.dialect import shape_of
from relay_passes.rewrite import MAIN, array_of, bindings, is_constant, op_name
from schedules.errors import UserError

Home: TypeAlias = Literal["constant", "scratch"]
#: Kernels take their operands' addresses to be multiples of it.
ALIGNMENT = 64
_VIEWS = frozenset({"relax.reshape", "relax.memory.ensure_zero_offset"})


@dataclasses.dataclass(frozen=True)
class Value:
    """One tensor: its shape and dtype, and at which byte it lies, of the constants or of the scratch memory."""

    home: Home
    offset: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclasses.dataclass(frozen=True)
class Step:
    """One kernel call: the function and its operands, results included, as positions in ``Plan.values``."""

    function: str
    operands: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is to be known about a model at run time, except for its kernels' code.

    Parameters
    ----------
    values
        All tensors.
    inputs, outputs
        Positions of the model's own among them, in order.
    steps
        Kernel calls, in order.
    constants
        The values of all constants, each on a multiple of ``ALIGNMENT``.
    scratch_bytes
        That all other tensors take, inputs and outputs included.
    """

    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    steps: tuple[Step, ...]
    constants: bytes
    scratch_bytes: int


def lower_memory(module: tvm.IRModule, target: tvm.target.Target) -> tvm.IRModule:
    """Return a scheduled module with buffers planned: the passes of ``relax.build`` up to the virtual machine's."""
    passes = [
        *cpu.library_dispatch_passes(target),
        *cpu.legalize_passes(target),
        *cpu.dataflow_lower_passes(target),
        relax.transform.DeadCodeElimination([MAIN]),
        relax.transform.StaticPlanBlockMemory(),
        relax.transform.AttachGlobalSymbol(),
    ]
    with target:
        return tvm.transform.Sequential(passes)(module)


def plan_of(module: tvm.IRModule) -> Plan:
    """Return the plan of a module that :func:`lower_memory` returned.

    Raises
    ------
    UserError
        If something is computed by TVM's virtual machine instead of a kernel.
    """
    main = module[MAIN]
    planner = _Planner()
    for parameter in main.params:
        planner.known[parameter] = planner.place(shape_of(parameter.ty), str(parameter.ty.dtype))
    for binding in bindings(main):
        planner.known[binding.var] = planner.meaning(binding.value)
    return Plan(
        values=tuple(planner.values),
        inputs=tuple(planner.known[parameter] for parameter in main.params),
        outputs=tuple(_flat(planner.meaning(main.body.body))),
        steps=tuple(planner.steps),
        constants=bytes(planner.constants),
        scratch_bytes=planner.scratch_bytes,
    )


def _flat(meaning: int | tuple[Any, ...]) -> Iterator[int]:
    if isinstance(meaning, int):
        yield meaning
    else:
        for field in meaning:
            yield from _flat(field)


class _Planner:
    """Follows a function, giving addresses to its values as they come."""

    def __init__(self) -> None:
        self.known: dict[Any, Any] = {}
        self.values: list[Value] = []
        self.steps: list[Step] = []
        self.constants = bytearray()
        self.scratch_bytes = 0
        self._offsets: dict[bytes, int] = {}

    def reserve(self, count: int) -> int:
        """Return the offset of so many new bytes of scratch memory."""
        offset = self.scratch_bytes
        self.scratch_bytes += _aligned(count)
        return offset

    def add(self, value: Value) -> int:
        """Return the position of a new value."""
        self.values.append(value)
        return len(self.values) - 1

    def place(self, shape: tuple[int, ...], dtype: str) -> int:
        """Return the position of a new value with bytes of its own."""
        return self.add(Value("scratch", self.reserve(Value("scratch", 0, shape, dtype).nbytes), shape, dtype))

    def meaning(self, value: Any) -> Any:
        """Return what an expression stands for: a value's position, a tuple of them, or a storage's offset."""
        if isinstance(value, relax.Var):
            return self.known[value]
        if is_constant(value):
            return self._constant(array_of(value))
        if isinstance(value, relax.Tuple):
            return tuple(self.meaning(field) for field in value.fields)
        if isinstance(value, relax.TupleGetItem):
            return self.meaning(value.tuple_value)[value.index]
        if isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.GlobalVar):
            operands = tuple(self.meaning(argument) for argument in value.args)
            self.steps.append(Step(str(value.op.name_hint), operands))
            return ()
        return self._allocated(value)

    def _allocated(self, value: Any) -> int:
        """Return what the call of an operator on memory stands for."""
        name = op_name(value)
        if name == "relax.memory.alloc_storage":
            return self.reserve(math.prod(int(extent) for extent in value.args[0].values))
        if name == "relax.memory.alloc_tensor":
            offset = self.meaning(value.args[0]) + int(value.args[1].value)
            return self.add(Value("scratch", offset, shape_of(value), str(value.ty.dtype)))
        if name == "relax.builtin.alloc_tensor":
            return self.place(shape_of(value), str(value.ty.dtype))
        if name in _VIEWS:
            base = self.values[self.meaning(value.args[0])]
            return self.add(dataclasses.replace(base, shape=shape_of(value), dtype=str(value.ty.dtype)))
        raise UserError(f"deploy: '{name or value}' is computed by TVM's virtual machine, which a deployed model lacks")

    def _constant(self, array: npt.NDArray[Any]) -> int:
        """Return the position of a constant; equal ones share their bytes."""
        content = np.ascontiguousarray(array).tobytes()
        if content not in self._offsets:
            self._offsets[content] = len(self.constants)
            self.constants += content + bytes(_aligned(len(content)) - len(content))
        return self.add(Value("constant", self._offsets[content], array.shape, str(array.dtype)))


def _aligned(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT
