"""Two waterfalls: where a model's bytes went, and where its time goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from matplotlib.patches import Patch

from tvm_bnn.command_line.texts import bytes_text, short_time_text
from tvm_bnn.compile.kernel_times.roofline import OF_PRECISION
from tvm_bnn.compile.reporting.compilation_report import Report
from tvm_bnn.report.kernels import Kernel, Network
from tvm_bnn.report.style import COLOURS, GROWTH, LINE, MEANINGS, MUTED, TOTAL, new_figure, svg_of

MOST_ROWS = 32
#: What an axis shows in the larger unit: ten of it.
_MANY = 1e7
_ROW_INCHES, _FRAME_INCHES, _WIDTH_INCHES = 0.235, 0.75, 10.0


@dataclasses.dataclass(frozen=True)
class Bar:
    """One row: from where to where it reaches, in which colour, and what is written beside it."""

    name: str
    start: float
    end: float
    colour: str
    text: str


def size_waterfall(report: Report) -> str:
    """Return the way from the float model's bytes to the artifact's, as SVG."""
    changes = [
        (layer.name, layer.bytes_after - layer.bytes_before, COLOURS[OF_PRECISION[layer.precision]])
        for layer in report.layers
    ]
    changes = _largest(changes)
    layers_before = sum(layer.bytes_before for layer in report.layers)
    layers_after = sum(layer.bytes_after for layer in report.layers)
    changes.append(("other parameters, now in kernels", layers_before - report.float_bytes, COLOURS[""]))
    changes.append(("code and manifest", report.artifact_bytes - layers_after, GROWTH))
    bars = [Bar("float model", 0, report.float_bytes, TOTAL, bytes_text(report.float_bytes))]
    level = report.float_bytes
    for name, change, fill in changes:
        sign = "+" if change > 0 else "\N{MINUS SIGN}"
        bars.append(Bar(name, level, level + change, GROWTH if change > 0 else fill, sign + bytes_text(abs(change))))
        level += change
    bars.append(Bar("artifact", 0, report.artifact_bytes, TOTAL, bytes_text(report.artifact_bytes)))
    legend = {
        COLOURS["binary"]: "saved by bits",
        COLOURS["int8"]: "saved by int8",
        COLOURS["bfloat16"]: "saved by bfloat16",
        COLOURS["float32"]: "saved in float layers",
        COLOURS[""]: "other parameters",
        GROWTH: "added",
    }
    return _drawn(bars, legend, ("kB", "MB"))


def _largest(changes: list[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Return the layers with the largest changes in order, and one row for the rest."""
    if len(changes) <= MOST_ROWS:
        return changes
    kept = sorted(range(len(changes)), key=lambda index: -abs(changes[index][1]))[: MOST_ROWS - 1]
    rest = [change for index, (_, change, _) in enumerate(changes) if index not in kept]
    return [changes[index] for index in sorted(kept)] + [(f"{len(rest)} other layers", sum(rest), COLOURS[""])]


def latency_waterfall(network: Network) -> str:
    """Return a network's kernel calls one after the other, as SVG."""
    kernels, rest = _slowest(network.kernels)
    total = sum(kernel.median_ns for kernel in network.kernels)
    bars, start = [], 0.0
    for kernel in kernels:
        end = start + kernel.median_ns
        text = f"{short_time_text(kernel.median_ns)}, {kernel.median_ns / total:.0%}"
        bars.append(Bar(kernel.name, start, end, _colour(kernel), text))
        start = end
    if rest:
        bars.append(Bar(f"{rest} quicker kernels", start, total, COLOURS[""], short_time_text(total - start)))
    bars.append(Bar("all kernels", 0, total, TOTAL, short_time_text(total)))
    return _drawn(bars, {COLOURS[bound]: meaning for bound, meaning in MEANINGS.items()}, ("µs", "ms"))


def _slowest(kernels: Sequence[Kernel]) -> tuple[list[Kernel], int]:
    """Return the slowest kernels in order, and how many others there are."""
    if len(kernels) <= MOST_ROWS:
        return list(kernels), 0
    slowest = sorted(range(len(kernels)), key=lambda index: -kernels[index].median_ns)[: MOST_ROWS - 1]
    return [kernels[index] for index in sorted(slowest)], len(kernels) - len(slowest)


def _colour(kernel: Kernel) -> str:
    narrow = kernel.choice.split("/", maxsplit=1)[0].rpartition("_")[2]
    if narrow in {"int8", "bf16"}:
        return COLOURS[narrow]
    return COLOURS.get(kernel.bound, COLOURS[""])


def _drawn(bars: Sequence[Bar], legend: dict[str, str], units: tuple[str, str]) -> str:
    """Draw the bars; of two units, a thousand and a million of what they count, take the one with shorter numbers."""
    figure = new_figure(_WIDTH_INCHES, len(bars) * _ROW_INCHES + _FRAME_INCHES)
    axes = figure.axes[0]
    rows = range(len(bars))
    reach = max(max(bar.start, bar.end) for bar in bars)
    unit, factor = (units[1], 1e6) if reach >= _MANY else (units[0], 1e3)
    for row, bar in zip(rows, bars, strict=True):
        low, high = min(bar.start, bar.end) / factor, max(bar.start, bar.end) / factor
        axes.barh(row, high - low, left=low, color=bar.colour, height=0.68)
        axes.annotate(bar.text, (high, row), (4, 0), textcoords="offset points", va="center", fontsize=8, color=MUTED)
        if row:
            axes.plot([bar.start / factor] * 2, [row - 1, row], color=LINE, linewidth=0.8, zorder=0)
    axes.set_yticks(rows, [bar.name for bar in bars])
    axes.set_xlim(0, reach / factor * 1.13)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlabel(unit)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    used = {bar.colour for bar in bars}
    patches = [Patch(color=colour, label=label) for colour, label in legend.items() if colour in used]
    figure.legend(handles=patches, loc="outside upper left", ncols=len(patches), frameon=False, fontsize=8)
    return svg_of(figure)
