"""The page is well formed, needs nothing else, says what the report says, and looks as it should in a browser."""

import shutil
import subprocess
import xml.etree.ElementTree as ET

import matplotlib.image
import msgspec
import numpy as np
import pytest

from rpc.formats.board_facts import BoardFacts
from rpc.measuring.conditions import Conditions
from rpc.measuring.measurement import Samples
from rpc.measuring.records import DeviceRecord
from schedules.files.record_file import append
from tvm_bnn.artifacts.artifact import KernelUse
from tvm_bnn.bench import records
from tvm_bnn.bench.machine import Machine
from tvm_bnn.compile.reporting.compilation_report import KernelTime, LayerRow, Report
from tvm_bnn.report import command
from tvm_bnn.report.kernels import networks, peaks
from tvm_bnn.report.page import page
from tvm_bnn.report.style import COLOURS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
XHTML, SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
MACHINE = Machine("a CPU", "x86_64", (), 2, "", "", "", "x86_64-linux-gnu")


def layer(name, bits=True, reason="", macs=1_000_000):
    return LayerRow(
        name=name,
        kind="conv2d",
        weight_shape=(64, 3, 3, 64),
        bit_planes=(1, 1) if bits else (0, 0),
        binary=bits,
        stores_bits=False,
        reason=reason,
        kernel="bconv2d/avx2 4x4" if bits else "conv2d/avx2 4x4",
        macs=macs,
        bytes_before=147_456,
        bytes_after=5_000 if bits else 150_000,
        precision="bits" if bits else "fp32",
    )


def time_of(name, ns, bound):
    choice = "bconv2d/avx2 4x4" if bound == "binary" else "conv2d/avx2 4x4" if bound else "loops/avx2"
    return KernelTime(KernelUse(name, f"fused_{name}", choice), Samples((ns,), 1), 1e6 if bound else 0.0, bound, 40_000)


@pytest.fixture
def report():
    layers = (layer("stem<1>", bits=False, reason="its input takes many values & more"), layer("body.1"))
    return Report(
        model="a <model>",
        artifact="a.so",
        target="native",
        isa="avx2",
        machine="x86_64",
        layers=layers,
        kernels=(),
        sign_zero="exact",
        float_bytes=300_000,
        library_bytes=190_000,
        artifact_bytes=200_000,
        parity=None,
        not_verified="not asked for",
        accuracy=None,
        latency=None,
        not_measured="not asked for",
        stages=(),
        versions={"tvm_bnn": "0"},
        kernel_times=(time_of("stem<1>", 9e4, "float32"), time_of("body.1", 2e3, "binary"), time_of("", 5e2, "")),
    )


def record(**fields):
    return records.Record(**{"machine": MACHINE, "versions": {}, "samples": Samples((1000.0,), 1)} | fields)


@pytest.fixture
def measured():
    part = {"order": 1, "kernel": "bconv2d/avx2 4x4", "bound": "binary", "bytes": 2000}
    return [
        record(suite="micro", case="binary", system="a loop", work=3e5, unit="MAC"),
        record(suite="micro", case="binary", system="a better loop", work=4e5, unit="MAC"),
        record(suite="micro", case="read L1", system="loads", work=5e5, unit="byte"),
        record(suite="networks", case="a net", system="peak float32: fma", work=6e4, unit="MAC"),
        record(suite="networks", case="a net", system=records.OURS, work=9e4, unit="MAC"),
        record(suite="networks", case="a net", system=records.OURS, part="1: conv", work=9e4, facts=part),
    ]


def test_peaks_are_the_best_of_each_kind(measured):
    found = peaks(measured)
    assert found.arithmetic == {"binary": 400.0, "float32": 60.0}
    assert found.bandwidth == {"L1": 500.0}


def test_networks_are_the_own_model_and_those_of_the_records(report, measured):
    own, other = networks(report, measured)
    assert [kernel.name for kernel in own.kernels] == ["stem<1>", "body.1", "fused_"]
    assert (other.name, other.kernels[0].name, other.kernels[0].touched_bytes) == ("a net", "conv", 2000)


def parsed(text):
    assert text.startswith("<!DOCTYPE html>")
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>"))


def test_the_page_is_well_formed_and_self_contained(report, measured):
    text = page(report, measured)
    tree = parsed(text)
    assert len(tree.findall(f".//{SVG}svg")) == 4  # bytes, two networks' times, roofline
    for element in tree.iter():
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] in {"href", "src"}:
                assert value.startswith("#"), f"{element.tag} needs {value}"
    assert not tree.findall(".//script")
    assert not tree.findall(".//link")


def test_the_page_says_what_stayed_float_and_why(report):
    section = parsed(page(report, [])).find(".//section[@id='float']")
    text = " ".join("".join(section.itertext()).split())
    assert "its input takes many values & more" in text
    assert "stem<1>" in text
    assert "50.0 %" in text
    assert "body.1" not in text


def test_the_layers_have_their_times(report):
    rows = parsed(page(report, [])).findall(".//section[@id='layers']//tbody/tr")
    assert ["".join(row[-1].itertext()) for row in rows] == ["90 µs", "2 µs"]


def test_layers_of_one_kernel_share_its_time_by_their_products(report):
    layers = (layer("left", macs=1_000_000), layer("right", macs=3_000_000))
    joined = msgspec.structs.replace(report, layers=layers, kernel_times=(time_of("left | right", 8e3, "binary"),))
    rows = parsed(page(joined, [])).findall(".//section[@id='layers']//tbody/tr")
    assert ["".join(row[-1].itertext()) for row in rows] == ["2 µs", "6 µs"]


def test_others_are_compared_in_multiples(report):
    measured = [
        record(suite="layers", case="3x3", system=records.OURS, work=1e5),
        record(suite="layers", case="3x3", system="peak binary: a loop", work=2e5),
        record(suite="layers", case="3x3", system="PyTorch", samples=Samples((5000.0,), 1), work=1e5),
    ]
    (row,) = parsed(page(report, measured)).findall(".//section[@id='benchmarks']//tbody/tr")
    assert ["".join(cell.itertext()) for cell in row] == ["3x3", "1 µs ± 0", "50%", "5 µs 5x"]


def test_what_was_not_measured_says_so(report):
    text = page(msgspec.structs.replace(report, kernel_times=()), [])
    assert "compile with <code>--profile</code>" in text
    assert parsed(text).find(".//section[@id='roofline']/figure") is None


def test_many_layers_are_shown_as_their_largest_and_a_rest(report):
    layers = tuple(layer(f"layer{number}") for number in range(60))
    parsed(page(msgspec.structs.replace(report, layers=layers, float_bytes=60 * 147_456), []))


def test_the_same_report_gives_the_same_page(report, measured):
    assert page(report, measured) == page(report, measured)


def test_the_command_writes_the_page(report, tmp_path, capsys):
    path = tmp_path / "model.report.json"
    path.write_bytes(msgspec.json.encode(report))
    assert command.main([str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "model.report.html")
    assert (tmp_path / "model.report.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(("content", "line"), [(None, "cannot be read"), (b"{}", "is no report of tvm_bnn.compile")])
def test_a_file_that_is_no_report(tmp_path, capsys, content, line):
    path = tmp_path / "strange.json"
    if content is not None:
        path.write_bytes(content)
    assert command.main([str(path)]) == 1
    assert line in capsys.readouterr().err


def test_a_browser_draws_it(report, measured, tmp_path):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    page_file, picture = tmp_path / "page.html", tmp_path / "page.png"
    page_file.write_text(page(report, measured))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,3000"]
    command_line = [CHROMIUM, *options, f"--screenshot={picture}", f"--user-data-dir={tmp_path / 'profile'}"]
    subprocess.run([*command_line, page_file.as_uri()], check=True, capture_output=True, timeout=120)
    pixels = (matplotlib.image.imread(picture)[..., :3] * 255).round().astype(int)
    for bound in ("binary", "float32"):
        wanted = [int(COLOURS[bound][at : at + 2], 16) for at in (1, 3, 5)]
        assert (np.abs(pixels - wanted).max(-1) <= 2).sum() > 500, f"no {COLOURS[bound]} in the picture"


def on_device(**board):
    return DeviceRecord(
        artifact="digits.rpi4.so",
        artifact_sha256="0" * 64,
        model="digits",
        target="rpi4",
        batch=1,
        key="rpi4",
        server="127.0.0.1:9091",
        board=BoardFacts(machine="aarch64", **board),
        threads=1,
        agreement=None,
        samples=Samples((2.0e6, 2.2e6, 2.1e6), 3),
        before=Conditions(),
        after=Conditions(),
        doubts=("the clock was low",),
    )


def test_measurements_of_devices_have_a_table_and_an_emulators_times_are_not_in_it(report):
    text = page(report, [], [on_device(model="Raspberry Pi 4"), on_device(emulated="cortex-a72")])
    section = text[text.index('id="devices"') : text.index("</section>", text.index('id="devices"'))]
    assert "Raspberry Pi 4" in section
    assert section.count("2.1 ms ± 0.1 (median of 3)") == 1
    assert section.count("none: emulated") == 1
    assert "the clock was low" in section
    assert 'id="devices"' not in page(report, [])


def test_files_of_both_kinds_of_results_are_told_apart(report, tmp_path):
    lab, bench = tmp_path / "lab.jsonl", tmp_path / "bench.jsonl"
    append(lab, [on_device(model="a board")])
    bench.write_bytes(msgspec.json.encode(record(suite="micro", case="c", system="s", work=1.0, unit="MAC")) + b"\n")
    stored = tmp_path / "m.report.json"
    stored.write_bytes(msgspec.json.encode(report))
    assert command.main([str(stored), str(bench), str(lab)]) == 0
    assert "a board" in (tmp_path / "m.report.html").read_text()
