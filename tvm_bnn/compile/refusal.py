"""Refuse a model of which nothing is binary, layer by layer, or whose inputs are too large to be tried."""

from __future__ import annotations

import math
from collections.abc import Sequence

from relay_passes.analysis.layers import Layer
from schedules.errors import UserError
from tvm_bnn.front_ends.source import Imported

#: A gigabyte of float32; verification needs several times as much.
MOST_VALUES = 1 << 28
#: The message goes through so many layers.
MOST_EXPLAINED = 5


def refuse_large_inputs(imported: Imported) -> None:
    """Raise a one-line ``UserError`` for an input that no verification could be given."""
    for name, shape in zip(imported.input_names, imported.input_shapes, strict=True):
        if math.prod(shape) > MOST_VALUES:
            extents = "x".join(map(str, shape))
            raise UserError(
                f"input '{name}' has shape {extents}; at most {MOST_VALUES} values are possible: take a smaller batch"
            )


def refuse_without_binary_layers(model: str, layers: Sequence[Layer]) -> None:
    """Raise a one-line ``UserError`` that goes through the layers if none of them is binary."""
    if any(layer.float_reason is None or layer.stores_bits for layer in layers):
        return
    looked_at = "; ".join(f"'{layer.name}': {layer.float_reason}" for layer in layers[:MOST_EXPLAINED])
    more = len(layers) - MOST_EXPLAINED
    raise UserError(
        f"model '{model}' has no binary layer among its {len(layers)} convolutions and linear layers"
        + (f" ({looked_at}{f'; and {more} more' if more > 0 else ''})" if layers else "")
        + "; a layer runs on bits if its input and the channels of its weight take few, evenly spaced values each"
    )
