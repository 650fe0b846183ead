"""The roofline: how fast each kernel runs, against what the machine's arithmetic and memory allow.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model" (2009): attainable rate =
min(peak rate, bandwidth x intensity). The intensity of a kernel is its multiply-accumulates over the bytes of its
operands and results, each counted once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tvm_bnn.command_line.texts import rate_text
from tvm_bnn.report.kernels import Kernel, Network, Peaks
from tvm_bnn.report.style import COLOURS, INK, MEANINGS, MUTED, new_figure, svg_of

_DASHES = ((0, (1, 1)), (0, (3, 1.5)), (0, (5, 2)), "-")


def points(networks: Sequence[Network]) -> list[Kernel]:
    """Return the kernels that have a place in the figure: those that multiply, and whose bytes are known."""
    return [kernel for network in networks for kernel in network.kernels if kernel.macs and kernel.touched_bytes]


def roofline(networks: Sequence[Network], peaks: Peaks) -> str:
    """Return the figure as SVG; without peaks it shows the kernels alone."""
    shown = points(networks)
    intensities = np.array([kernel.macs / kernel.touched_bytes for kernel in shown])
    rates = np.array([kernel.macs / kernel.median_ns for kernel in shown])
    figure = new_figure(10.0, 5.2)
    axes = figure.axes[0]
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = intensities.min() / 4, intensities.max() * 12
    axes.set_xlim(low, high)
    axes.set_ylim(rates.min() / 3, max([*peaks.arithmetic.values(), rates.max()]) * 2.2)
    for quantity, peak in peaks.arithmetic.items():
        axes.axhline(peak, color=COLOURS[quantity], linewidth=1.4)
        label = f"{MEANINGS[quantity]}: {rate_text(peak, 'MAC')}"
        axes.annotate(label, (high, peak), (-4, 3), textcoords="offset points", ha="right", color=COLOURS[quantity])
    top = max(peaks.arithmetic.values(), default=rates.max() * 2)
    for (level, bandwidth), dash in zip(peaks.bandwidth.items(), _DASHES, strict=False):
        ends = np.array([low, max(top / bandwidth, low)])
        axes.plot(
            ends, ends * bandwidth, color=MUTED, linewidth=0.9, linestyle=dash, label=f"{level}: {bandwidth:.3g} GB/s"
        )
    for bound in dict.fromkeys(kernel.bound for kernel in shown):
        chosen = [kernel.bound == bound for kernel in shown]
        axes.scatter(
            intensities[chosen],
            rates[chosen],
            s=34,
            color=COLOURS[bound],
            edgecolor="white",
            linewidth=0.7,
            label=f"{MEANINGS[bound]}, {sum(chosen)} kernels",
            zorder=3,
        )
    axes.set_xlabel("multiply-accumulates per byte of operands and results")
    axes.set_ylabel("GMAC/s")
    axes.grid(visible=True, which="major", color="#f1f5f9")
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", frameon=False, labelcolor=INK, fontsize=8)
    return svg_of(figure)
