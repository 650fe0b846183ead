"""Group every layer with its epilogue, and with the packing of its result, into one function.

Before: ``d = packed_conv2d(..); a = multiply(d, s); y = add(a, r); p = pack(y, ..)`` in ``main``.
After:  ``main`` calls a private function that holds the four and returns what others read of ``y`` and ``p``.

Each group becomes one kernel, so between two grouped operators nothing crosses memory. A tensor whose channels are
repeated, ``tile(r)``, is repeated as it is read, and so is a constant of every kind of position. Where all that is kept
of a layer's result are its bits and the mean of every two rows and columns, as in front of a layer of stride two, the
kernel averages too.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import tvm
from tvm import relax

from relay_passes.analysis.evaluate import ELEMENTWISE
from relay_passes.analysis.layers import layer_name
from relay_passes.dialect import shape_of
from relay_passes.lower.pooled_layers import can_pool, is_mean_of_halves
from relay_passes.rewrite import MAIN, Expr, Rewriter, bindings, is_constant, is_tensor, op_name

_ANCHORS = frozenset(
    f"relax.bnn.{name}"
    for name in (
        *("packed_conv2d", "packed_dense", "packed_matmul", "count_conv2d", "count_dense", "count_matmul"),
        *("tiled_conv2d", "tiled_dense", "tiled_count_conv2d", "tiled_count_dense"),
        *("blocked_conv2d", "blocked_dense", "planar_conv2d", "two_valued_conv2d", "two_valued_dense"),
        *("winograd_conv2d", "int8_conv2d", "int8_dense", "bf16_conv2d", "bf16_dense"),
    )
)
PACK = "relax.bnn.pack"
#: Operators whose scalar operands TVM lowers to buffers, not to immediates.
_NO_IMMEDIATES = frozenset({"relax.where", PACK})
_PREFIX = "layer_"
#: The returned variable replaces the one that a layer's call is bound to; this keeps the two names apart.
_RETURNED = "Zr"

Binding: TypeAlias = relax.VarBinding


@dataclasses.dataclass(frozen=True)
class Group:
    """Bindings that become one kernel.

    Parameters
    ----------
    name
        Of the layer inside, or of the first operator.
    members
        In order; packs come last.
    result
        The one value that is read outside, or packed, or both.
    outputs
        What is read outside: the result, its packed forms, or both.
    repeated
        Bindings that repeat a tensor's values for the members; other groups may have them as well.
    """

    name: str
    members: tuple[Binding, ...]
    result: relax.Var
    outputs: tuple[relax.Var, ...]
    repeated: tuple[Binding, ...] = ()

    @property
    def body(self) -> tuple[Binding, ...]:
        """All bindings of the kernel, in order."""
        return self.repeated + self.members

    @property
    def inputs(self) -> list[Expr]:
        """What the members read from outside, once each, the layer's operands first; scalar constants stay inside."""
        made = {member.var for member in self.body}
        found: dict[Expr, None] = {}
        for member in (*self.members, *self.repeated):
            for arg in tensor_args(member.value):
                if arg not in made and not (_is_scalar(arg) and op_name(member.value) not in _NO_IMMEDIATES):
                    found[arg] = None
        return list(found)


def kernel_name(layer: str) -> str:
    """Return the identifier under which a layer's call appears in the fused module; no two layers share one.

    A dot becomes two underscores; what would be mistaken for that, or is not allowed, is spelled ``Z<hex>z``.
    """
    escaped = re.sub(r"_(?=[_.])|(?<=[_.])_|[^\w.]|Z", lambda found: f"Z{ord(found.group()):x}z", layer)
    return _PREFIX + escaped.replace(".", "__")


def layer_of(variable: str) -> str:
    """Return the layer behind the name of a variable of the fused module, empty if there is none."""
    if not variable.startswith(_PREFIX):
        return ""
    dotted = variable.removeprefix(_PREFIX).removesuffix(_RETURNED).replace("__", ".")
    return re.sub(r"Z([0-9a-f]+)z", lambda found: chr(int(found.group(1), 16)), dotted)


def tensor_args(node: Expr) -> list[Expr]:
    """Return the tensor operands of a call."""
    return [arg for arg in node.args if is_tensor(arg)] if isinstance(node, relax.Call) else []


def _is_scalar(value: Expr) -> bool:
    return is_constant(value) and not shape_of(value)


class _Graph:
    """Who reads what in a straight-line function."""

    def __init__(self, function: relax.Function) -> None:
        self.bindings = bindings(function)
        self.readers: dict[relax.Var, set[relax.Var]] = {}
        self.read_outside = set(_vars_in(function.body.body))
        for binding in self.bindings:
            for var in _vars_in(binding.value):
                self.readers.setdefault(var, set()).add(binding.var)
            if not isinstance(binding.value, relax.Call):
                self.read_outside.update(_vars_in(binding.value))

    def groups(self) -> list[Group]:
        """Return the groups, those around layers first so that a layer gets its epilogue before anyone else."""
        taken: set[relax.Var] = set()
        found = []
        for is_seed in (_is_anchor, _is_elementwise, _is_pack):
            for position, binding in enumerate(self.bindings):
                if binding.var not in taken and is_seed(binding.value):
                    group = self._grow(position, taken)
                    taken.update(member.var for member in group.members)
                    found.append(group)
        return found

    def _grow(self, position: int, taken: set[relax.Var]) -> Group:
        """Return the largest group from a seed downwards that has a single result before packing."""
        seed = self.bindings[position]
        members = {seed.var: seed, **self._followers(position, taken)}
        for result in reversed(list(members)):
            inside = _ancestors(result, members)
            if all(self._is_read_only_by(var, inside) for var in inside - {result}):
                return self._group(seed, [members[var] for var in members if var in inside], result, taken)
        raise AssertionError("a seed alone is always a group")

    def _followers(self, position: int, taken: set[relax.Var]) -> dict[relax.Var, Binding]:
        """Return the elementwise bindings of the seed's shape that depend on it through each other only."""
        seed = self.bindings[position]
        members: dict[relax.Var, Binding] = {}
        elsewhere: set[relax.Var] = set()
        if _is_pack(seed.value):
            return members
        for binding in self.bindings[position + 1 :]:
            reads = set(_vars_in(binding.value))
            if not reads & (members.keys() | {seed.var} | elsewhere):
                continue
            fits = _is_elementwise(binding.value) and shape_of(binding.var) == shape_of(seed.var)
            if fits and binding.var not in taken and not reads & elsewhere:
                members[binding.var] = binding
            else:
                elsewhere.add(binding.var)
        return members

    def _is_read_only_by(self, var: relax.Var, readers: set[relax.Var]) -> bool:
        return var not in self.read_outside and self.readers.get(var, set()) <= readers

    def _group(self, seed: Binding, members: list[Binding], result: relax.Var, taken: set[relax.Var]) -> Group:
        packs = [
            binding
            for binding in self.bindings
            if _is_pack(binding.value) and binding.value.args[0].same_as(result) and binding.var not in taken
        ]
        packed = {pack.var for pack in packs}
        outputs = [pack.var for pack in packs]
        pools = self._pools(seed, result, packed)
        if pools:
            outputs.insert(0, pools[0].var)
        elif _is_pack(seed.value) or not self._is_read_only_by(result, packed):
            outputs.insert(0, result)
        name, body = kernel_name(layer_name(seed.value)), (*members, *packs, *pools)
        return Group(name, body, result, tuple(outputs), self._repeated(members))

    def _repeated(self, members: list[Binding]) -> tuple[Binding, ...]:
        """Return what repeats values for elementwise members alone: a layer reads its input more than once."""
        read: dict[bool, set[relax.Var]] = {True: set(), False: set()}
        for member in members:
            read[_is_elementwise(member.value)].update(_vars_in(member.value))
        alone = read[True] - read[False]
        return tuple(binding for binding in self.bindings if binding.var in alone and _is_repeated(binding.value))

    def _pools(self, seed: Binding, result: relax.Var, packed: set[relax.Var]) -> list[Binding]:
        """Return the pool that is all that a layer's result is kept for; none if there are others."""
        readers = self.readers.get(result, set()) - packed
        pools = [binding for binding in self.bindings if binding.var in readers and is_mean_of_halves(binding.value)]
        if len(pools) != 1 or not self._is_read_only_by(result, packed | {pools[0].var}):
            return []
        packs = [binding.value for binding in self.bindings if binding.var in packed]
        return pools if can_pool(seed.value, packs) else []


def _vars_in(value: Expr) -> Iterable[relax.Var]:
    if isinstance(value, relax.Var):
        yield value
    elif isinstance(value, relax.Call):
        for arg in value.args:
            yield from _vars_in(arg)
    elif isinstance(value, relax.Tuple):
        for field in value.fields:
            yield from _vars_in(field)
    elif isinstance(value, relax.TupleGetItem):
        yield from _vars_in(value.tuple_value)


def _ancestors(var: relax.Var, members: dict[relax.Var, Binding]) -> set[relax.Var]:
    """Return a member with all the members that it depends on."""
    found = {var}
    for candidate in reversed(list(members)):
        if candidate in found:
            found.update(read for read in _vars_in(members[candidate].value) if read in members)
    return found


def _is_anchor(value: Expr) -> bool:
    return op_name(value) in _ANCHORS


def _is_elementwise(value: Expr) -> bool:
    return op_name(value) in ELEMENTWISE


def _is_pack(value: Expr) -> bool:
    return op_name(value) == PACK


def _is_repeated(value: Expr) -> bool:
    return op_name(value) in {"relax.tile", "relax.bnn.at_border"}


def _kernel_function(group: Group, inputs: Sequence[Expr]) -> relax.Function:
    """Return the private function of a group."""
    builder = relax.BlockBuilder()
    params = [relax.Var(f"p{index}", value.ty) for index, value in enumerate(inputs)]
    new: dict[Expr, Expr] = dict(zip(inputs, params, strict=True))
    with builder.function(MAIN, params, {"Primitive": True}):
        with builder.dataflow():
            for member in group.body:
                node = member.value
                args = [new.get(arg, arg) for arg in node.args]
                new[member.var] = builder.emit(relax.Call(node.op, args, node.attrs, node.ty_args, node.span))
            results = [builder.emit_output(new[var]) for var in group.outputs]
        builder.emit_func_output(results[0] if len(results) == 1 else relax.Tuple(results))
    return builder.get()[MAIN].without_attr("global_symbol")


class _Fuse(Rewriter):
    def begin(self, function: relax.Function) -> None:
        groups = _Graph(function).groups()
        self._group_of_result = {group.result: group for group in groups}
        self._members = {member.var for group in groups for member in group.members}

    def copy(self, binding: Binding) -> None:
        group = self._group_of_result.get(binding.var)
        if group is not None:
            self._call(group)
        elif binding.var not in self._members:
            super().copy(binding)

    def output_name(self, value: Expr) -> str:
        return f"{value.name}{_RETURNED}" if isinstance(value, relax.Var) else ""

    def _call(self, group: Group) -> None:
        inputs = group.inputs
        # The builder hands out each name once: the plain one is for the call, which is the layer's.
        kernel = self.builder.add_func(_kernel_function(group, inputs), f"fused_{group.name}")
        result = self.emit(relax.Call(kernel, [self.substituted(value) for value in inputs]), group.name)
        if len(group.outputs) == 1:
            self.renamed[group.outputs[0]] = result
            return
        for index, var in enumerate(group.outputs):
            self.renamed[var] = self.emit(relax.TupleGetItem(result, index))


def fuse_layers(module: tvm.IRModule) -> tvm.IRModule:
    """Move every group of ``main`` into a function of its own."""
    return _Fuse().run(module)
