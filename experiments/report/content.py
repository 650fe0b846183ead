"""What the report says: tables of text, made of results; both the page and the Markdown are written from them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from experiments.binarizers.catalog import FLOAT
from experiments.report.published import PUBLISHED
from experiments.tracks.pairs import pairs
from experiments.tracks.result import Result
from experiments.tracks.track import TRACKS, Overall, Track
from tvm_bnn.command_line.texts import bytes_text, count_text, short_time_text

MISSING = "–"


class TableOf(NamedTuple):
    """A table; the first column is text, the others are numbers."""

    title: str
    note: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def of_track(results: Sequence[Result], track: Track) -> list[Result]:
    """Return a track's results."""
    return [result for result in results if result.cell.track == track.name]


def methods_of(results: Sequence[Result]) -> list[str]:
    """Return the methods that have results, in the order in which they came, full precision left out."""
    return [name for name in dict.fromkeys(r.cell.algorithm for r in results) if name != FLOAT.name]


def overall_metrics(results: Sequence[Result]) -> dict[str, dict[str, Overall]]:
    """Return, for each method, the overall metric of each track."""
    return {
        method: {track.name: track.overall(of_track(results, track), method) for track in TRACKS}
        for method in methods_of(results)
    }


def summary(metrics: dict[str, dict[str, Overall]]) -> TableOf:
    """Return the table of overall metrics."""
    rows = tuple((method, *(number(of[track.name].value) for track in TRACKS)) for method, of in metrics.items())
    note = "More is better. 1 is full precision; for complexity and hardware, how many times smaller and faster."
    return TableOf("Overall metrics", note, ("method", *(track.metric for track in TRACKS)), rows)


def notes(metrics: dict[str, dict[str, Overall]]) -> list[str]:
    """Return what the overall metrics leave out, in lines."""
    return [
        f"{track.metric} of {method}: {of[track.name].note}"
        for method, of in metrics.items()
        for track in TRACKS
        if of[track.name].note
    ]


def tables(results: Sequence[Result]) -> dict[str, list[TableOf]]:
    """Return each track's tables."""
    made = {
        "learning": _scores("Score by data set (percent)", of_track(results, TRACKS[0]), by_architecture=False),
        "architecture": _scores("Score by architecture (percent)", of_track(results, TRACKS[1]), by_architecture=True),
        "robustness": _robustness(of_track(results, TRACKS[2])),
        "training": _training(of_track(results, TRACKS[3])),
        "complexity": _complexity(of_track(results, TRACKS[4])),
        "hardware": _hardware(of_track(results, TRACKS[5])),
    }
    return {name: [table] if table.rows else [] for name, table in made.items()}


def published() -> TableOf:
    """Return the published figures."""
    note = "From the papers, on full-size data. They are to be compared with runs on the same data and network only."
    headings = ("method", "network", "on", "figure", "source")
    return TableOf("Published figures", note, headings, tuple(tuple(row) for row in PUBLISHED))


def failures(results: Sequence[Result]) -> list[str]:
    """Return a line for each cell without a result."""
    return [f"{result.cell}: {result.failed}" for result in results if result.outcome is None]


def number(value: float | None) -> str:
    """Return three significant digits."""
    return MISSING if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004


def _scores(title: str, results: Sequence[Result], by_architecture: bool) -> TableOf:
    columns = list(dict.fromkeys((r.cell.data, r.cell.architecture) for r in results))
    found = {(r.cell.algorithm, r.cell.data, r.cell.architecture): r.outcome for r in results if r.outcome is not None}
    metric = {(r.cell.data, r.cell.architecture): r.outcome.facts["metric"] for r in results if r.outcome is not None}

    def cell(method: str, column: tuple[str, str]) -> str:
        outcome = found.get((method, *column))
        return MISSING if outcome is None else f"{outcome.values['score']:.1f}"

    methods = list(dict.fromkeys(r.cell.algorithm for r in results))
    rows = tuple((method, *(cell(method, column) for column in columns)) for method in methods)
    names = [f"{architecture} on {data}" if by_architecture else data for data, architecture in columns]
    headings = [f"{name} ({metric.get(column, 'no result')})" for name, column in zip(names, columns, strict=True)]
    return TableOf(title, "Of the whole test split.", ("method", *headings), rows)


def _robustness(results: Sequence[Result]) -> TableOf:
    kinds = list(dict.fromkeys(r.cell.variant for r in results))
    rows = []
    for method in dict.fromkeys(r.cell.algorithm for r in results):
        found = {r.cell.variant: r.outcome.values for r in results if r.cell.algorithm == method and r.outcome}
        clean = {name: values["clean"] for name, values in found.items()}
        hurt = {n: fmean(v for key, v in values.items() if key != "clean") for n, values in found.items()}
        cells = [f"{hurt[kind]:.1f}" if kind in hurt else MISSING for kind in kinds]
        rows.append((method, f"{fmean(clean.values()):.1f}" if clean else MISSING, *cells))
    note = "Accuracy in percent under each corruption, the mean over five severities."
    return TableOf("Accuracy under corruption", note, ("method", "clean", *kinds), tuple(rows))


def _training(results: Sequence[Result]) -> TableOf:
    variants = list(dict.fromkeys(r.cell.variant for r in results))
    rows = []
    for method in dict.fromkeys(r.cell.algorithm for r in results):
        found = {r.cell.variant: r.outcome.values for r in results if r.cell.algorithm == method and r.outcome}
        seconds = [values["train_seconds"] for values in found.values()]
        cells = [f"{found[variant]['score']:.1f}" if variant in found else MISSING for variant in variants]
        rows.append((method, number(fmean(seconds)) if seconds else MISSING, *cells))
    note = "Mean seconds of a training from random weights, and the score in percent for each choice."
    return TableOf("Training time and sensitivity", note, ("method", "seconds", *variants), tuple(rows))


def _complexity(results: Sequence[Result]) -> TableOf:
    rows = []
    for result in results:
        if result.outcome is None:
            continue
        values, facts = result.outcome.values, result.outcome.facts
        share = values["compiled_binary_macs"] / values["compiled_macs"] if values["compiled_macs"] else 0.0
        rows.append(
            (
                f"{result.cell.architecture}, {result.cell.algorithm}",
                count_text(round(values["macs"])),
                f"{values['binary_macs'] / values['macs']:.1%}",
                number(values["r_c"]),
                number(values["r_s"]),
                f"{facts['binary_layers']} of {facts['layers']}",
                f"{share:.1%}",
                f"{bytes_text(round(values['float_weight_bytes']))} → {bytes_text(round(values['compiled_bytes']))}",
            )
        )
    headings = ("network", "MACs", "binary", "r_c", "r_s", "compiled: binary layers", "MACs on bits", "weights")
    note = "By the paper's count for the full-size network; then what the graph compiled for this run holds."
    return TableOf("Operations and storage", note, headings, tuple(rows))


def _hardware(results: Sequence[Result]) -> TableOf:
    rows = []
    for result in results:
        if result.outcome is None:
            continue
        values, facts = result.outcome.values, result.outcome.facts
        twin = values.get("float_latency_ns")
        rows.append(
            (
                f"{result.cell.architecture}, {result.cell.algorithm}",
                f"{facts.get('device', result.cell.variant)}",
                short_time_text(values["latency_ns"]) if "latency_ns" in values else MISSING,
                MISSING if twin is None else f"{short_time_text(twin)} ({facts['float_engine']})",
                MISSING if twin is None else f"{number(twin / values['latency_ns'])}x",
                f"{bytes_text(round(values['float_bytes']))} → {bytes_text(round(values['artifact_bytes']))}",
                f"{facts['parity']}",
            )
        )
    headings = ("network", "device", "compiled", "fastest float engine", "speed-up", "float → artifact", "parity")
    note = "Medians, batch 1, one thread; measured in turns where there is an engine to compare with."
    return TableOf("Measured latency and size", note, headings, tuple(rows))


def accelerations(results: Sequence[Result]) -> list[tuple[str, str, float, float]]:
    """Return (architecture, method, r_c, measured speed-up) of the networks that both tracks know."""
    theory = {
        (r.cell.architecture, r.cell.algorithm): r.outcome.values
        for r in of_track(results, TRACKS[4])
        if r.outcome is not None
    }
    return [
        (r.cell.architecture, r.cell.algorithm, _compiled_r_c(theory[key]), twin / r.outcome.values["latency_ns"])
        for r in of_track(results, TRACKS[5])
        if r.outcome is not None
        and (key := (r.cell.architecture, r.cell.algorithm)) in theory
        and (twin := r.outcome.values.get("float_latency_ns"))
    ]


def _compiled_r_c(values: dict[str, float]) -> float:
    """Return r_c of the network that was measured, which may be smaller than the one of the paper's count."""
    binary, total = values["compiled_binary_macs"], values["compiled_macs"]
    return total / (binary / 64 + total - binary)


def accuracy_and_latency(results: Sequence[Result]) -> list[tuple[str, str, float, float]]:
    """Return (architecture, method, measured latency in µs, score) of the networks that were measured here."""
    return [
        (r.cell.architecture, r.cell.algorithm, r.outcome.values["latency_ns"] / 1e3, r.outcome.values["score"])
        for r in of_track(results, TRACKS[5])
        if r.outcome is not None and "float_latency_ns" in r.outcome.values
    ]


def relative_scores(results: Sequence[Result], track: Track, method: str) -> dict[str, float]:
    """Return a method's score over full precision's, by data set and architecture."""
    found = pairs(of_track(results, track), method)
    return {
        f"{cell.architecture}\n{cell.data}": binary.values["score"] / full.values["score"]
        for cell, full, binary in found
        if full.values["score"] > 0
    }
