"""Fix the batch of a program that was exported for any."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from schedules.errors import UserError
from tvm_bnn.front_ends.first_line import first_line
from tvm_bnn.front_ends.torch_model.adapting.retrace import examples_of, replace_examples, retraced, user_inputs

DEFAULT_BATCH = 1
#: PyTorch gives every dynamic dimension a lower bound of 2, since it reasons about 0 and 1 apart, and enforces none
#: below 3 when the program runs (torch/_export/utils.py).
_LEAST_ENFORCED = 3


def at_batch(program: ExportedProgram, batch: int | None, name: str) -> ExportedProgram:
    """Return the program for one batch.

    Parameters
    ----------
    program
        Its metadata may be changed; its parameters are not.
    batch
        Samples in a batch. If None: one for a dynamic first dimension, and whatever a static program has.
    name
        Of the model, for messages.

    Raises
    ------
    UserError
        If a dimension that is not the batch is dynamic, the program does not allow that batch, or it is static and has
        another one.
    """
    if batch is not None and batch < 1:
        raise UserError(f"batch {batch}: at least one sample is needed")
    inputs = [node for node in user_inputs(program) if isinstance(node.meta.get("val"), torch.Tensor)]
    symbols = _symbols(inputs)
    if not symbols:
        _refuse_other_batch(inputs, batch, name)
        return program
    symbol = _batch_symbol(inputs, symbols)
    extent = DEFAULT_BATCH if batch is None else batch
    _refuse_out_of_range(program, symbol, extent, name)
    _fix(program, inputs, symbol, extent)
    try:
        return retraced(program)
    except Exception as error:
        raise UserError(f"model '{name}' cannot be fixed to batch {extent}: {first_line(error)}") from error


def _symbols(inputs: list[Node]) -> set[Any]:
    """Return the symbols that the inputs' shapes are made of."""
    return {symbol for node in inputs for extent in node.meta["val"].shape for symbol in _expression(extent)}


def _expression(extent: Any) -> set[Any]:
    return set() if isinstance(extent, int) else set(extent.node.expr.free_symbols)


def _batch_symbol(inputs: list[Node], symbols: set[Any]) -> Any:
    """Return the one symbol of the shapes, if it is the first extent of an input."""
    shapes = [node.meta["val"].shape for node in inputs]
    first = {shape[0].node.expr for shape in shapes if len(shape) and not isinstance(shape[0], int)} & symbols
    if len(first) == 1 and len(symbols) == 1:
        return next(iter(first))
    batch = next(iter(first)) if len(first) == 1 else None
    for node in inputs:
        shape = tuple(node.meta["val"].shape)
        dynamic = [axis for axis, extent in enumerate(shape) if _expression(extent) - {batch}]
        if dynamic:
            raise UserError(
                f"input '{node.name}' has a dynamic shape ({', '.join(map(str, shape))}): only one dimension, the "
                f"batch, which comes first, may be dynamic; export with dimension {', '.join(map(str, dynamic))} fixed"
            )
    raise AssertionError("some input holds the symbol that is not the batch")


def _refuse_other_batch(inputs: list[Node], batch: int | None, name: str) -> None:
    extents = sorted({int(node.meta["val"].shape[0]) for node in inputs if node.meta["val"].dim()})
    if batch is not None and extents != [batch]:
        has = f"is fixed to batch {extents[0]}" if len(extents) == 1 else f"has inputs of first extents {extents}"
        raise UserError(
            f"model '{name}' {has}, not {batch}: compile it as it is, or export it with a dynamic first dimension"
        )


def _refuse_out_of_range(program: ExportedProgram, symbol: Any, extent: int, name: str) -> None:
    bounds = program.range_constraints.get(symbol)
    if bounds is None:
        return
    least = bounds.lower if bounds.lower >= _LEAST_ENFORCED else 1
    if not least <= extent <= bounds.upper:
        most = f" to {bounds.upper}" if bounds.upper.is_finite else " on"
        raise UserError(
            f"model '{name}' was exported for batches from {least}{most}, not {extent}: choose one with --batch"
        )


def _fix(program: ExportedProgram, inputs: list[Node], symbol: Any, extent: int) -> None:
    """Write the extent into the metadata of the inputs, and cut or repeat the examples to it."""
    shapes = {}
    for node in inputs:
        value = node.meta["val"]
        _forget_expressions(value)
        shapes[node] = [
            each if isinstance(each, int) else int(each.node.expr.subs(symbol, extent)) for each in value.shape
        ]
        node.meta["val"] = value.new_empty(shapes[node])
    examples = examples_of(program)
    if examples:
        replace_examples(
            program,
            [_resized(example, shapes.get(node)) for example, node in zip(examples, user_inputs(program), strict=True)],
        )


def _forget_expressions(value: Any) -> None:
    """Remove the ranges of what is no symbol, such as ``2 * batch``: torch 2.13 fails an assertion on them."""
    ranges = value.fake_mode.shape_env.var_to_range if value.fake_mode.shape_env is not None else {}
    for expression in [key for key in ranges if not key.is_Symbol]:
        del ranges[expression]


def _resized(example: torch.Tensor, shape: list[int] | None) -> torch.Tensor:
    """Take samples from the start, and again from there if there are too few."""
    for axis, extent in enumerate(shape or ()):
        if example.shape[axis] != extent:
            example = example.index_select(axis, torch.arange(extent) % example.shape[axis])
    return example
