"""The first stage of ReActNet's training: activations are binary, weights are not yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from experiments.binarizers.parts.layer import BinaryLayer


@contextmanager
def real_weights(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Let binary layers multiply by their latent weights; afterwards they binarize them again."""
    layers = [module for module in model.modules() if isinstance(module, BinaryLayer)] if wanted else []
    binarizing = [layer.weights for layer in layers]
    for layer in layers:
        layer.weights = layer.real_weights
    try:
        yield
    finally:
        for layer, weights in zip(layers, binarizing, strict=True):
            layer.weights = weights
