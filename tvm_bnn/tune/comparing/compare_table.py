"""What a comparison of schedules tells people and files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console

from tvm_bnn.bench.records import Record
from tvm_bnn.bench.spread import indistinct, is_noisy
from tvm_bnn.bench.tables.columns import MISSING, new_table
from tvm_bnn.command_line.texts import short_time_text, spread_text
from tvm_bnn.tune.comparing.comparing import Compared
from tvm_bnn.tune.runners.operands import SEED

#: A default that is slower than the tuned schedule by more than this share is worth a better rule.
NEAR = 0.15


def print_compared(found: Sequence[Compared], console: Console) -> None:
    """Print a row for each layer, what all of them gain, and those where a schedule disappoints."""
    table = new_table(("layer", "kernel, tile", "schedule"), ("calls", "default", "tuned", "gain", "middle 80\u00a0%"))
    for layer in found:
        low, gain, high = layer.gain
        cells = [MISSING] * 3
        if layer.tuned is not None:
            mark = "~" if indistinct(layer.default, layer.tuned) else ""
            cells = [spread_text(layer.tuned), f"{mark}{gain:.3f}x", f"{low:.3f} to {high:.3f}"]
        tile = re.sub(r"/\S+", "", layer.choice)
        table.add_row(layer.task.name, tile, _origin(layer), str(layer.task.weight), spread_text(layer.default), *cells)
    console.print(table)
    console.print()
    for line in (_overall(found), *_shortcomings(found)):
        console.print(line, markup=False, soft_wrap=True)


def _origin(layer: Compared) -> str:
    """Return where a schedule comes from; a log may say that the default is the best."""
    return f"{layer.origin}: default" if layer.tuned is None and layer.origin != "default" else layer.origin


def _overall(found: Sequence[Compared]) -> str:
    before = sum(layer.task.weight * layer.default.median_ns for layer in found)
    after = sum(layer.task.weight * (layer.tuned or layer.default).median_ns for layer in found)
    return (
        f"all layers: {short_time_text(before)} with default schedules, {short_time_text(after)} with tuned ones, "
        f"{before / after:.3f}x; gain: middle of {len(found[0].default.samples_ns)} pairs, ~ where they lie on both"
        " sides of 1"
    )


def _shortcomings(found: Sequence[Compared]) -> list[str]:
    """Return the layers where tuning made it worse, those where the default is far from it, and those in doubt."""
    slower = [layer for layer in found if layer.gain[2] < 1]
    far = [layer for layer in found if layer.gain[1] > 1 + NEAR]
    noisy = [layer for layer in found if any(map(is_noisy, filter(None, (layer.default, layer.tuned))))]
    return [
        f"tuned slower than default: {_names(slower)}",
        f"default more than {NEAR:.0%} slower than tuned: {_names(far)}",
        *([f"not quiet enough, measure again: {_names(noisy)}"] if noisy else []),
    ]


def _names(layers: Sequence[Compared]) -> str:
    return "; ".join(f"{layer.task.name} ({layer.gain[1]:.3f}x)" for layer in layers) or "none"


def records_of(model: str, target: str, found: Sequence[Compared], threads: int) -> list[Record]:
    """Return a record of the default and one of the tuned schedule for each layer; the default alone if it is taken."""
    return [
        Record(
            suite="schedules",
            case=layer.task.name,
            system=system,
            samples=samples,
            work=layer.task.macs,
            unit="MAC",
            threads=threads,
            facts={
                "model": model,
                "target": target,
                "kernel": layer.choice,
                "schedule": layer.origin,
                "calls": layer.task.weight,
                "workload": layer.task.workload,
            },
            seed=SEED,
        )
        for layer in found
        for system, samples in (("default", layer.default), ("tuned", layer.tuned))
        if samples is not None
    ]
