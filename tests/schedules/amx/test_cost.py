"""The model that chooses between popcount and AMX, held against what was measured of direct convolutions in tiles."""

import pytest

from schedules.amx.blocks import Layer
from schedules.amx.cost import is_cheaper, popcount_ns, tiles_ns
from schedules.kernels.window import Window

PADDED = Window((3, 3), padding=(1, 1, 1, 1))
STRIDED = Window((3, 3), (2, 2), (1, 1, 1, 1))


def convolution(size, depth, channels, window=PADDED, batch=1):
    return Layer((batch, size, size, depth // 32), channels // 16, window)


@pytest.mark.parametrize(
    ("layer", "measured"),
    [
        (convolution(56, 64, 64), 1.51),
        (convolution(28, 128, 128), 1.55),
        (convolution(14, 256, 256), 1.34),
    ],
    ids=["56x56x64", "28x28x128", "14x14x256"],
)
def test_the_model_is_near_what_was_measured(layer, measured):
    """Ratios to the popcount peak, of kernels whose weights were bytes already."""
    peak = 1214
    products = popcount_ns(layer) * 1150
    assert products / peak / tiles_ns(layer) == pytest.approx(measured, rel=0.12)


@pytest.mark.parametrize(
    "layer",
    [
        convolution(56, 64, 64),
        convolution(28, 128, 128),
        convolution(14, 256, 256),
        convolution(56, 64, 128, STRIDED),
        convolution(28, 256, 256, Window((1, 1))),
        convolution(28, 128, 128, batch=8),
        Layer((1, 197, 24), 48, None),
    ],
    ids=lambda layer: str(layer.words),
)
def test_large_layers_go_to_amx(layer):
    assert is_cheaper(layer)


@pytest.mark.parametrize(
    "layer",
    [
        # Seven pixels a row fill less than half of a tile.
        convolution(7, 512, 512),
        convolution(14, 256, 512, STRIDED),
        # Weights that are read once: unpacking them takes longer than using them.
        Layer((1, 128), 64, None),
        Layer((8, 128), 64, None),
        # A tile's depth is 64.
        convolution(32, 32, 16),
        convolution(8, 32, 32),
    ],
    ids=lambda layer: str(layer.words),
)
def test_narrow_and_small_layers_stay_with_popcount(layer):
    assert not is_cheaper(layer)
