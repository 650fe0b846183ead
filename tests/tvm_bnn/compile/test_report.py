import dataclasses

import numpy as np
import pytest

from relay_passes.analysis.layers import Layer
from relay_passes.analysis.weight_planes import WeightPlanes
from rpc.measuring.measurement import Samples
from tvm_bnn.artifacts.artifact import KernelUse
from tvm_bnn.command_line.texts import bytes_text, count_text, time_text
from tvm_bnn.compile.reporting.layer_rows import layer_rows

WEIGHT = WeightPlanes(np.ones((1, 4, 9), np.float32), np.ones((1, 4), np.float32), np.zeros(4, np.float32))
BINARY = Layer("a", "linear", (4, 9), 36, frozenset({-1.0, 1.0}), WEIGHT)


def test_a_binary_layer_without_a_binary_kernel_is_an_error_not_a_row():
    with pytest.raises(RuntimeError, match="layer 'a' counts as running on bits, but runs in dense/avx2"):
        layer_rows([BINARY], [KernelUse("a", "fused_a", "dense/avx2 1x1")], {})
    with pytest.raises(RuntimeError, match="no kernel of its own"):
        layer_rows([BINARY], [], {})


def test_a_row_joins_analysis_kernel_and_constants():
    (row,) = layer_rows([BINARY], [KernelUse("a", "fused_a", "bdense/avx2 1x1")], {"a": 40})
    assert (row.binary, row.reason, row.bytes_before, row.bytes_after) == (True, "", 144, 40)


def test_a_row_says_what_its_layer_computes_in():
    stem = Layer("stem", "conv2d", (4, 3, 3, 3), 100, None, "many values")
    for choice, precision in (
        ("conv2d/avx2 1x1", "fp32"),
        ("conv2d_int8/avx2 1x1", "int8"),
        ("dense_int8/avx2", "int8"),
    ):
        (row,) = layer_rows([stem], [KernelUse("stem", "f", choice)], {})
        assert row.precision == precision
    (row,) = layer_rows([BINARY], [KernelUse("a", "f", "bdense/avx2 1x1")], {})
    assert row.precision == "bits"


def test_layers_of_one_kernel_have_a_row_each():
    layers = [BINARY, dataclasses.replace(BINARY, name="b")]
    rows = layer_rows(layers, [KernelUse("a | b", "fused_a", "bdense/avx2 1x1", "shipped")], {"a": 40, "b": 20})
    assert [(row.name, row.kernel, row.schedule, row.bytes_after) for row in rows] == [
        ("a", "bdense/avx2 1x1", "shipped", 40),
        ("b", "bdense/avx2 1x1", "shipped", 20),
    ]


def test_the_parts_of_a_split_layer_are_one_row():
    parts = [Layer(f"up@{k}", "conv2d", (4, 2, 2, 9), 100, None, "many values") for k in range(4)]
    (row,) = layer_rows(parts, [], {"up@0": 7, "up@3": 1})
    assert (row.name, row.kind, row.macs, row.bytes_after, row.binary) == ("up", "conv2d x 4", 400, 8, False)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1150, "1.15 kB"), (46_800_000, "46.8 MB"), (7 * 10**12, "7000 GB")]
)
def test_sizes_have_three_digits_and_a_unit(count, text):
    assert bytes_text(count) == text


def test_counts_have_a_prefix():
    assert [count_text(count) for count in (640, 18432, 2_770_000)] == ["640", "18.4 k", "2.77 M"]


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        ((6400.0, 6420.0, 6500.0), "6.42 µs ± 0.02 (median of 3)"),
        ((8e5, 9e5, 1.2e6), "900 µs ± 100 (median of 3)"),
        ((5.0,), "5 ns ± 0 (median of 1)"),
    ],
)
def test_times_have_a_spread(samples, text):
    assert time_text(Samples(samples, 1)) == text
