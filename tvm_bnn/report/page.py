"""Put the page together: the report's numbers as text, its figures as SVG, in one template."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from relay_passes.analysis.part_names import shares
from rpc.measuring.records import DeviceRecord
from schedules.errors import UserError
from tvm_bnn.bench.records import Record
from tvm_bnn.command_line.texts import bytes_text, count_text, short_time_text
from tvm_bnn.compile.reporting.compilation_report import LayerRow, Report
from tvm_bnn.compile.reporting.parity_texts import not_finite_text, trouble_text
from tvm_bnn.report.comparison import comparison
from tvm_bnn.report.devices import device_rows
from tvm_bnn.report.kernels import Network, networks, peaks
from tvm_bnn.report.roofline_figure import points, roofline
from tvm_bnn.report.waterfalls import latency_waterfall, size_waterfall

_TEMPLATES = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Tile:
    """One large number at the top of the page: what it is of, itself, and a line below."""

    heading: str
    value: str
    note: str


@dataclasses.dataclass(frozen=True)
class FloatGroup:
    """Layers that stayed float for the same reason, and their share of all multiply-accumulates."""

    reason: str
    layers: tuple[LayerRow, ...]
    share: float


def page(report: Report, records: Sequence[Record], devices: Sequence[DeviceRecord] = ()) -> str:
    """Return the page.

    Parameters
    ----------
    report
        Of a compilation.
    records
        Of ``tvm_bnn.bench``; peaks of the machine and other networks. May be empty.
    devices
        Of ``python -m rpc measure``. May be empty.

    Raises
    ------
    UserError
        If the report has no layers.
    """
    if not report.layers:
        raise UserError(f"report of '{report.model}': it has no layers to show")
    measured = networks(report, records)
    peers, compared = comparison(records)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": bytes_text,
        "count": count_text,
        "time": short_time_text,
        "trouble": trouble_text,
        "not_finite": not_finite_text,
    }
    return environment.get_template("page.html.j2").render(
        report=report,
        tiles=_tiles(report),
        float_groups=_float_groups(report),
        times=_layer_times(report),
        size_figure=Markup(size_waterfall(report)),
        latency_figures=[
            (network, _summary(network, report), Markup(latency_waterfall(network))) for network in measured
        ],
        roofline_figure=Markup(roofline(measured, peaks(records))) if points(measured) else None,
        peers=peers,
        compared=compared,
        devices=device_rows(devices),
        has_peaks=bool(peaks(records).arithmetic),
    )


def _tiles(report: Report) -> list[Tile]:
    on_bits = sum(layer.runs_on_bits for layer in report.layers)
    share = report.binary_macs / report.macs if report.macs else 0.0
    factor = report.float_bytes / report.artifact_bytes
    return [
        _latency_tile(report),
        Tile("size", bytes_text(report.artifact_bytes), f"{factor:.3g}x smaller than {bytes_text(report.float_bytes)}"),
        Tile("on bits", f"{share:.1%}", f"of the products; {on_bits} of {len(report.layers)} layers"),
        _answer_tile(report),
    ]


def _latency_tile(report: Report) -> Tile:
    latency = report.latency
    if latency is None:
        return Tile("latency", "not measured", report.not_measured)
    against = f"{latency.speedup:.3g}x faster than {latency.framework} ({short_time_text(latency.reference.median_ns)})"
    return Tile("latency", short_time_text(latency.compiled.median_ns), against)


def _answer_tile(report: Report) -> Tile:
    parity = report.parity
    if parity is None:
        return Tile("parity", "not checked", report.not_verified)
    if report.unverified:
        return Tile("parity", "NOT VERIFIED", f"accepted all the same: {report.unverified}")
    agreeing = f"{parity.right} of {parity.samples} samples agree with {parity.framework}"
    if report.accuracy is not None:
        return Tile("accuracy", f"{report.accuracy:.2%}", agreeing)
    return Tile("parity", f"{parity.right / parity.samples:.1%}", agreeing)


def _float_groups(report: Report) -> list[FloatGroup]:
    reasons = dict.fromkeys(layer.reason for layer in report.layers if not layer.runs_on_bits)
    groups = []
    for reason in reasons:
        layers = tuple(layer for layer in report.layers if layer.reason == reason and not layer.runs_on_bits)
        share = sum(layer.macs for layer in layers) / report.macs if report.macs else 0.0
        groups.append(FloatGroup(reason, layers, share))
    return sorted(groups, key=lambda group: -group.share)


def _layer_times(report: Report) -> dict[str, float]:
    """Return the time of all kernels of each layer, in ns; empty if the model was not profiled.

    Layers that share a kernel have a part of its time, by their products.
    """
    macs = {layer.name: layer.macs for layer in report.layers}
    times: dict[str, float] = {}
    for kernel in report.kernel_times:
        for name, share in shares(kernel.use.layer, macs).items():
            times[name] = times.get(name, 0.0) + kernel.samples.median_ns * float(share)
    return times


def _summary(network: Network, report: Report) -> str:
    total = sum(kernel.median_ns for kernel in network.kernels)
    on_bits = sum(kernel.median_ns for kernel in network.kernels if kernel.bound == "binary")
    text = f"{len(network.kernels)} kernels, {short_time_text(total)} in all, {on_bits / total:.0%} of it on bits"
    if network.name != report.model or report.latency is None:
        return text
    return f"{text}; a whole call that nobody watches takes {short_time_text(report.latency.compiled.median_ns)}"
