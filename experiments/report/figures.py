"""The report's figures, as SVG text: radar of the tracks, accuracy against latency, theory against measurement."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
import numpy as np

from experiments.report.content import accelerations, accuracy_and_latency, relative_scores
from experiments.tracks.result import Result
from experiments.tracks.track import TRACKS, Overall

#: Of distinct colours, in a fixed order (Okabe & Ito, 2008, and greys).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKS = "osD^vP*X<>dphH8"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bibench",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
Points = Sequence[tuple[str, str, float, float]]


def radar_of_tracks(metrics: dict[str, dict[str, Overall]]) -> str:
    """Return the radar of overall metrics, each axis as a share of the best method's."""
    complete = [track for track in TRACKS if any(of[track.name].value is not None for of in metrics.values())]
    best = {track.name: max(of[track.name].value or 0.0 for of in metrics.values()) for track in complete}
    values = {
        method: [(of[track.name].value or 0.0) / best[track.name] for track in complete]
        for method, of in metrics.items()
    }
    return _radar([f"{track.metric}\nbest {best[track.name]:.3g}" for track in complete], values)


def radar_of_networks(results: Sequence[Result], methods: Sequence[str]) -> str:
    """Return the radar of scores as a share of full precision's, over architectures."""
    found = {method: relative_scores(results, TRACKS[1], method) for method in methods}
    names = list(dict.fromkeys(name for scores in found.values() for name in scores))
    return _radar(names, {method: [scores.get(name, 0.0) for name in names] for method, scores in found.items()})


def latency_scatter(results: Sequence[Result]) -> str:
    """Return accuracy against measured latency: a mark an architecture, a colour a method."""
    return _scatter(accuracy_and_latency(results), "measured latency (µs)", "score (%)", diagonal=False)


def acceleration_scatter(results: Sequence[Result]) -> str:
    """Return measured speed-up against the theoretical one; on the line they would be equal."""
    points = accelerations(results)
    return _scatter(points, "theoretical acceleration r_c", "measured speed-up over the float twin", diagonal=True)


def _radar(names: Sequence[str], values: dict[str, list[float]]) -> str:
    least = 3  # fewer axes enclose nothing
    if len(names) < least or not values:
        return ""
    angles = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(5.6, 4.4, polar=True)
        for colour, (method, row) in zip(_cycled(COLOURS, len(values)), values.items(), strict=True):
            axes.plot([*angles, angles[0]], [*row, row[0]], color=colour, linewidth=1.4, label=method)
        axes.set_xticks(angles, names, fontsize=8)
        axes.tick_params(axis="x", pad=16)
        axes.set_ylim(0, max(1.0, *(max(row) for row in values.values())))
        axes.set_yticks([0.25, 0.5, 0.75, 1.0], ["", "0.5", "", "1"], fontsize=7, color="#777777")
        axes.set_theta_zero_location("N")
        axes.legend(loc="center left", bbox_to_anchor=(1.28, 0.5))
        return _svg(figure)


def _scatter(points: Points, x: str, y: str, diagonal: bool) -> str:
    if not points:
        return ""
    networks = list(dict.fromkeys(network for network, _, _, _ in points))
    methods = list(dict.fromkeys(method for _, method, _, _ in points))
    colours = dict(zip(methods, _cycled(COLOURS, len(methods)), strict=True))
    marks = dict(zip(networks, _cycled(_MARKS, len(networks)), strict=True))
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(5.6, 4.2)
        for network, method, across, up in points:
            axes.scatter(across, up, color=colours[method], marker=marks[network], s=42, linewidths=0)
        axes.set_xscale("log")
        if diagonal:
            axes.set_yscale("log")
            ends = [min(min(p[2], p[3]) for p in points), max(max(p[2], p[3]) for p in points)]
            axes.plot(ends, ends, color="#999999", linestyle="--", linewidth=1, zorder=0)
        for axis in (axes.xaxis, axes.yaxis) if diagonal else (axes.xaxis,):
            axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_major_locator(mpl.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_minor_formatter(mpl.ticker.NullFormatter())
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        _legends(axes, colours, marks)
        return _svg(figure)


def _legends(axes: Any, colours: dict[str, str], marks: dict[str, str]) -> None:
    """Explain colours, then marks, to the right of the plot."""
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], color=colour, marker="s", linestyle="", label=name) for name, colour in colours.items()]
    entries += [Line2D([], [], color="#555555", marker=mark, linestyle="", label=name) for name, mark in marks.items()]
    axes.legend(handles=entries, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)


def _figure(width: float, height: float, polar: bool = False) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot(projection="polar" if polar else None)


def _svg(figure: Any) -> str:
    """Return the figure without the XML header, so that it can stand inside a page."""
    file = io.StringIO()
    # Without a date the same results give the same page.
    figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _cycled(values: Sequence[str], count: int) -> list[str]:
    return [values[index % len(values)] for index in range(count)]
