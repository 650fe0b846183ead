"""Every family of the acceptance set compiles, with all of its binary layers on bits, and agrees with PyTorch."""

import pytest

from experiments.families.__main__ import compile_family
from experiments.families.catalog import FAMILIES
from rpc.boards import emulation

#: Those that between them use every kernel and every rewrite; all of them on the emulated board would take an hour.
ON_ARM = (
    "Bi-Real Net",
    "BiBERT",
    "DoReFa, clamp and sign",
    "AdaBin, offset inside the scale",
    "Shape: 33 channels, odd image",
)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_all_binary_layers_of_a_family_run_on_bits(family, tmp_path):
    row = compile_family(family, "native", tmp_path)
    assert (row.found, row.on_planes) == (family.binary_layers, family.plane_layers)
    assert {layer.name: layer.bytes_after for layer in row.layers if is_large(layer)} == {}


def is_large(layer):
    """Whether a binary layer's constants exceed a fifth of its weights in float32, and 1 kB for its channels.

    Depth-wise layers do: each of their signs takes a word.
    """
    if layer.kind == "conv2d" and layer.weight_shape[-1] == 1:
        return False
    return layer.binary and layer.bytes_after > layer.bytes_before / 5 + 1024


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.name in ON_ARM], ids=lambda family: family.name)
def test_a_family_agrees_on_an_emulated_board(family, tmp_path):
    missing = emulation.prepare("aarch64")
    if missing is not None:
        pytest.skip(missing)
    row = compile_family(family, "rpi3", tmp_path)
    assert (row.found, row.on_planes) == (family.binary_layers, family.plane_layers)
    assert "/" in row.parity
