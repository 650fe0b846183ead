"""Random operands for a lowered layer, such that its results are worth comparing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tvm

from schedules.kernels.binary import bconv2d
from schedules.kernels.narrow import bf16, int8
from schedules.machines.isa import Isa
from schedules.tuned.workload import layer_of, tensors_of

Array = npt.NDArray[Any]
SEED = 0


def operands(function: tvm.tirx.PrimFunc, isa: Isa, results: int) -> list[Array]:
    """Return random operands of a layer, its results left out.

    Words are random bits. Other integers are limits and corrections of counts: they lie where counts can lie, so that
    comparisons go either way. Bytes, and their 16-bit forms, are as quantization makes them.
    """
    rng = np.random.default_rng(SEED)
    layer = layer_of(function, isa)
    terms = 1 if layer is None else layer.terms
    counts = terms * (isa.word_bits if layer is not None and layer.kernel.anchor in bconv2d.ANCHORS else 1)
    inputs = tensors_of(function)[: -results or None]
    anchor = "" if layer is None else layer.kernel.anchor
    if anchor == bf16.ANCHOR:
        # Random bits would be infinities and no numbers among others.
        return [
            bf16.bf16_bits(rng.standard_normal(shape)) if dtype == "uint16" else _draw(rng, shape, dtype, False, 1)
            for shape, dtype in inputs
        ]
    words = isa.word_dtype if anchor != int8.ANCHOR else ""
    return [
        _draw(rng, shape, dtype, dtype == words and index < _WORDS, counts)
        for index, (shape, dtype) in enumerate(inputs)
    ]


#: Activations and weights come first; what follows of the same type may be limits of 16 bits.
_WORDS = 2


def _draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, words: bool, counts: int) -> Array:
    if dtype.startswith("float"):
        return rng.standard_normal(shape, np.float32).astype(dtype)
    if dtype == "bool":
        return rng.random(shape) < _HALF
    limits = np.iinfo(dtype)
    if words or dtype == "uint8":
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    if dtype in {"int8", "int16"}:
        return rng.integers(-int8.LARGEST, int8.LARGEST, shape, dtype, endpoint=True)
    return rng.integers(0, min(counts, limits.max), shape, dtype, endpoint=True)


_HALF = 0.5


def agree(found: Array, expected: Array) -> bool:
    """Tell whether two results are the same; floats may be summed in another order.

    The error of a float32 sum of K products is about sqrt(K) roundings of its terms: 1e-5 of the largest result for
    any K that a layer has.
    """
    if not np.issubdtype(expected.dtype, np.floating):
        return bool(np.array_equal(found, expected))
    scale = max(float(np.abs(expected).max(initial=0.0)), _LEAST_SCALE)
    return bool(np.isfinite(found).all() and float(np.abs(found - expected).max(initial=0.0)) <= _TOLERANCE * scale)


_TOLERANCE, _LEAST_SCALE = 1e-5, 1e-30
