"""The page's colours, in figures as in text, and how a figure becomes SVG."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = {"binary": "#0f766e", "float32": "#d97706", "int8": "#7c3aed", "bfloat16": "#a21caf", "": "#94a3b8"}
MEANINGS = {"binary": "on bits", "float32": "float32", "int8": "int8", "bfloat16": "bfloat16", "": "no products"}
INK, MUTED, LINE, TOTAL, GROWTH = "#0f172a", "#64748b", "#e2e8f0", "#334155", "#be123c"
_SETTINGS: Any = {
    # Letters as outlines: the page looks the same wherever it is opened.
    "svg.fonttype": "path",
    # Without it, two renderings of the same figure differ.
    "svg.hashsalt": "tvm_bnn",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure in the page's style, in inches."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.add_subplot()
    return figure


def svg_of(figure: Figure) -> str:
    """Return a figure as an SVG element."""
    text = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    drawing = text.getvalue()
    return drawing[drawing.index("<svg") :]
