"""The compiler from float Relax to scheduled TIR, as a list that can be read aloud, and its runner."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import tvm
from tvm import relax

from relay_passes.canonicalize.binarize import binarize
from relay_passes.canonicalize.join_layers import join_layers
from relay_passes.canonicalize.sink_concat import sink_concat
from relay_passes.canonicalize.sink_reshape import sink_reshape
from relay_passes.lower.fuse_layers import fuse_layers
from relay_passes.lower.lower import lower
from relay_passes.lower.schedule_kernels import schedule_kernels, unheard
from relay_passes.pack.block_float_layers import block_float_layers
from relay_passes.pack.compare_counts import compare_counts
from relay_passes.pack.count_in_tiles import count_in_tiles
from relay_passes.pack.form_thresholds import form_thresholds
from relay_passes.pack.narrow_float_layers import narrow_float_layers
from relay_passes.pack.pack_before_moves import pack_before_moves
from relay_passes.pack.pack_layers import pack_layers
from relay_passes.pack.pool_bits import pool_bits
from relay_passes.pack.pull_thresholds import pull_thresholds
from relay_passes.pack.round_limits import round_limits
from relay_passes.pack.winograd_convolutions import winograd_convolutions
from relay_passes.simplify.absorb_padding import absorb_padding
from relay_passes.simplify.collapse_straight_through import collapse_straight_through
from relay_passes.simplify.decompose_norms import decompose_norms
from relay_passes.simplify.distribute_sums import distribute_sums
from relay_passes.simplify.fold_constants import fold_constants
from relay_passes.simplify.hoist_input_scale import hoist_input_scale
from relay_passes.simplify.merge_equal_calls import merge_equal_calls
from relay_passes.simplify.narrow_broadcasts import narrow_broadcasts
from relay_passes.simplify.settle_products import settle_products
from relay_passes.simplify.settle_sign_zero import SignZero, settle_sign_zero
from relay_passes.simplify.slice_conv3d import slice_conv3d
from relay_passes.simplify.split_transposed_conv2d import split_transposed_conv2d
from relay_passes.simplify.to_nhwc import to_nhwc
from relay_passes.simplify.widen_conv1d import widen_conv1d
from schedules.defects import locate
from schedules.errors import UserError
from schedules.files.line_file import Warn
from schedules.machines.dot import Dot
from schedules.machines.isa import Isa
from schedules.tuned.lookup import Tuned

Module: TypeAlias = tvm.IRModule


@dataclasses.dataclass(frozen=True)
class Pass:
    """One step: a function from module to module, with the name that errors, dumps and timings show."""

    name: str
    apply: Callable[[Module], Module]


@dataclasses.dataclass(frozen=True)
class Applied:
    """What the runner tells its observer after each pass."""

    name: str
    module: Module
    seconds: float


Observer = Callable[[Applied], None]


def _pass(function: Callable[..., Module], *options: object) -> Pass:
    return Pass(function.__name__, lambda module: function(module, *options))


def simplify(sign_zero: SignZero = "exact") -> list[Pass]:
    """Float graph to channels-last float graph, in which layers can be examined."""
    return [
        _pass(narrow_broadcasts),
        _pass(fold_constants),
        _pass(settle_products),
        _pass(decompose_norms),
        _pass(merge_equal_calls),
        _pass(collapse_straight_through),
        _pass(absorb_padding),
        _pass(distribute_sums),
        _pass(hoist_input_scale),
        _pass(widen_conv1d),
        _pass(slice_conv3d),
        _pass(split_transposed_conv2d),
        _pass(to_nhwc),
        _pass(fold_constants),
        _pass(settle_sign_zero, sign_zero),
        _pass(merge_equal_calls),
    ]


def canonicalize() -> list[Pass]:
    """Simplified graph to canonical binary IR: the ``bnn`` dialect on sign tensors."""
    return [_pass(join_layers), _pass(sink_concat), _pass(sink_reshape), _pass(binarize)]


def pack(isa: Isa, dot: Dot | None = None, tiles: bool = False) -> list[Pass]:
    """Canonical to packed IR: words, integer thresholds, weights laid out for the kernels.

    With ``dot``, layers that stay float run on bytes or on bfloat16, by that instruction. With ``tiles``, AMX counts
    for the layers that it is the cheaper way of (see :mod:`schedules.amx.tiles`).
    """
    narrow = [] if dot is None else [_pass(narrow_float_layers, dot)]
    tiled = [_pass(count_in_tiles)] if tiles else []
    rounded = [_pass(round_limits)] if isa.flushes_subnormals else []
    return [
        _pass(pack_layers, isa),
        _pass(pack_before_moves),
        _pass(pull_thresholds),
        _pass(pool_bits),
        _pass(form_thresholds),
        _pass(compare_counts),
        *rounded,
        *tiled,
        *narrow,
        _pass(winograd_convolutions, isa),
        _pass(block_float_layers, isa),
    ]


def lower_to(isa: Isa, logs: Sequence[Tuned] = (), warn: Warn = unheard) -> list[Pass]:
    """Packed IR to scheduled TIR; ``logs`` know better schedules than the default."""
    return [*unscheduled(), *scheduled(isa, logs, warn)]


def scheduled(isa: Isa, logs: Sequence[Tuned] = (), warn: Warn = unheard) -> list[Pass]:
    """Unscheduled to scheduled TIR."""
    return [_pass(schedule_kernels, isa, logs, warn)]


def unscheduled() -> list[Pass]:
    """Packed IR to TIR that has no schedule yet: what a search starts from."""
    return [_pass(fuse_layers), _pass(lower)]


def run(module: Module, passes: Sequence[Pass], observe: Observer | None = None) -> Module:
    """Apply passes in order, checking after each that the module is well formed.

    Raises
    ------
    UserError
        As a pass raised it: the model cannot be compiled.
    RuntimeError
        If a pass fails or breaks the module; the message names the pass.
    """
    for step in passes:
        start = time.perf_counter()
        try:
            module = step.apply(module)
            relax.analysis.well_formed(module)
        except UserError:
            raise
        except RecursionError:
            raise UserError(
                f"the model has more operations one behind the other than pass {step.name} can follow; split it up"
            ) from None
        except Exception as error:
            locate(error, f"in pass {step.name}")
            raise RuntimeError(f"pass {step.name} failed: {error}") from error
        if observe is not None:
            observe(Applied(step.name, module, time.perf_counter() - start))
    return module
