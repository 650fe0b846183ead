"""The page and its Markdown, from results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2

from experiments.report import content, figures
from experiments.tracks.result import Result
from experiments.tracks.track import TRACKS


def pages(results: Sequence[Result]) -> tuple[str, str]:
    """Return the HTML, which needs no other file, and the Markdown, which has no figures."""
    metrics = content.overall_metrics(results)
    tables = content.tables(results)
    values: dict[str, Any] = {
        "facts": _facts(results),
        "summary": content.summary(metrics),
        "tracks": [(track, tables[track.name]) for track in TRACKS],
        "published": content.published(),
        "notes": content.notes(metrics),
        "failures": content.failures(results),
        "radar_tracks": figures.radar_of_tracks(metrics) if metrics else "",
        "radar_networks": figures.radar_of_networks(results, list(metrics)),
        "latency": figures.latency_scatter(results),
        "acceleration": figures.acceleration_scatter(results),
    }
    loader = jinja2.PackageLoader("experiments.report", ".")
    page, text = (
        jinja2.Environment(loader=loader, autoescape=escaping, undefined=jinja2.StrictUndefined, trim_blocks=True)
        for escaping in (True, False)
    )
    return page.get_template("page.html.j2").render(values), text.get_template("page.md.j2").render(values)


def _facts(results: Sequence[Result]) -> str:
    """Return where and when the results were taken."""
    machines = ", ".join(dict.fromkeys(f"{r.machine.cpu} ({r.machine.cores} cores)" for r in results))
    dates = sorted(result.date[:10] for result in results)
    done = sum(result.outcome is not None for result in results)
    span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return f"{done} of {len(results)} cells have results; {span}; {machines}"
