from tvm_bnn.bench.tables.columns import warnings
from tvm_bnn.bench.tables.layers import print_layers
from tvm_bnn.bench.tables.micro import print_micro
from tvm_bnn.bench.tables.networks import print_networks

PEAK = "peak binary: AVX-512 vpopcntd"


def layer_records(record):
    return [
        record(facts={"kernel": "bconv2d/avx2 7x2"}),
        record(system=PEAK, us=(1000.0, 1000.0, 1000.0), work=1.25e9),
        record(system="PyTorch fp32", us=(2000.0, 2020.0, 1980.0)),
        record(system="OpenVINO binary", us=(99.0, 102.0, 99.5)),
        record(system="ONNX Runtime int8", us=None, skipped="onnxruntime is not installed"),
    ]


def test_a_layer_shows_its_share_of_the_peak_and_how_much_longer_others_take(record, printed):
    text = printed(print_layers, layer_records(record))
    (row,) = [line for line in text.splitlines() if line.startswith("3x3")]
    for cell in ("bconv2d 7x2", "100 µs ± 1", "1000 GMAC/s", "80%", "2 ms 20x"):
        assert cell in row


def test_the_share_of_the_peak_is_the_kernels_without_the_call_that_the_bench_itself_makes(record, printed):
    kernel = record(facts={"kernel": "bconv2d/avx2 7x2", "call_ns": 20_000.0})
    text = printed(print_layers, [kernel, *layer_records(record)[1:]])
    (row,) = [line for line in text.splitlines() if line.startswith("3x3")]
    # 1000 GMAC/s is what a user waits for; 80 of the 100 us are the kernel's, at the whole of the peak.
    for cell in ("100 µs ± 1", "1000 GMAC/s", "100%"):
        assert cell in row


def test_a_difference_within_the_spread_is_marked_and_warned_about(record, printed):
    text = printed(print_layers, layer_records(record))
    assert "~0.995x" in text
    assert "warning 3x3: the spread swallows the difference between tvm_bnn and OpenVINO binary" in text


def test_a_peer_that_was_skipped_says_why(record, printed):
    text = printed(print_layers, layer_records(record))
    assert "skipped ONNX Runtime int8, 1 of its cases: onnxruntime is not installed" in text


def test_a_noisy_result_is_warned_about(record):
    (line,) = warnings([record(us=(100.0, 150.0, 60.0))])
    assert line == "3x3: not quiet enough, measure again: ± tvm_bnn 40%"


def test_a_quiet_run_has_no_warnings(record):
    assert warnings(layer_records(record)[:3]) == []


def test_limits_come_with_their_units(record, printed):
    rows = [
        record(suite="micro", case="binary", system="AVX2", work=4e7),
        record(suite="micro", case="read L1", system="AVX2 loads", work=2e7, unit="byte"),
    ]
    text = printed(print_micro, rows)
    assert "400 GMAC/s" in text
    assert "200 GB/s" in text


def network_records(record):
    facts = {
        **{"layers": 3, "binary_layers": 2, "binary_macs": 90_000_000, "float_macs": 5_000_000, "parity": "3 of 4"},
        **{"yardstick": "2", "float_bytes": 4_000_000, "artifact_bytes": 500_000},
        **{"compiled_network_bytes": 1_000_000, "compiled_process_bytes": 50_000_000},
    }
    parts = [
        record(
            "net", part="1: stem", us=(60.0, 60.0), work=5e6, facts={"kernel": "conv2d/avx2 4x2", "bound": "float32"}
        ),
        record(
            "net", part="2: body", us=(120.0, 120.0), work=9e7, facts={"kernel": "bconv2d/avx2 4x2", "bound": "binary"}
        ),
        record("net", part="3: max_pool2d", us=(20.0, 20.0), work=0, facts={"kernel": "loops/avx2"}),
    ]
    return [
        record("net", us=(200.0, 200.0), facts=facts),
        record("net", PEAK, us=(100.0, 100.0), work=1e8),
        record("net", "peak float32: fma", us=(100.0, 100.0), work=1e7),
        record("net", "PyTorch twin", us=(800.0, 800.0)),
        *parts,
    ]


def test_a_network_is_held_against_what_its_arithmetic_would_take(record, printed):
    text = printed(print_networks, network_records(record))
    row = next(line for line in text.splitlines() if line.startswith("net "))
    # 90 M at 1000 GMAC/s and 5 M at 100 GMAC/s.
    for cell in ("200 µs ± 0", "140 µs", "70%", "800 µs 4x"):
        assert cell in row


def test_sizes_are_shown_before_and_after(record, printed):
    text = printed(print_networks, network_records(record))
    for cell in ("2 of 3", "90 M", "3 of 4 (2)", "4 MB", "500 kB", "1 MB of 50 MB"):
        assert cell in text


def test_the_waterfall_shows_each_kernels_share_and_its_own_peak(record, printed):
    lines = printed(print_networks, network_records(record)).splitlines()
    stem, body, pool = (next(line for line in lines if line.startswith(name)) for name in ("1: ", "2: ", "3: "))
    assert "30.0%" in stem
    assert "83%" in stem
    assert "60.0%" in body
    assert "75%" in body
    assert pool.split()[-2:] == ["-", "-"]
    assert any(line.startswith("3 kernels") and "200 µs" in line for line in lines)
