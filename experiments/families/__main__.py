"""``python -m experiments.families``: compile every model of the acceptance set and print the table of the docs."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from schedules.errors import UserError
from tvm_bnn.command_line.command import finish
from tvm_bnn.command_line.packages import require

if TYPE_CHECKING:  # which imports PyTorch
    from experiments.families.family import Family
    from tvm_bnn.compile.reporting.compilation_report import LayerRow


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of one family: layers found binary, layers on bit planes, and how the model compares with PyTorch.

    ``layers`` are those of the report, none if the model was refused.
    """

    family: Family
    found: int
    on_planes: int
    parity: str
    layers: tuple[LayerRow, ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether every binary layer, and nothing else, runs on bits."""
        return (self.found, self.on_planes) == (self.family.binary_layers, self.family.plane_layers)


def compile_family(family: Family, target: str, folder: Path) -> Row:
    """Compile one family and verify it.

    A model without binary layers is refused by the compiler, which is right for the look-alikes.

    Raises
    ------
    UserError
        If the model cannot be compiled, or disagrees with PyTorch.
    """
    from tvm_bnn.compile.compiler import compile_model

    try:
        compiled = compile_model(family.build(), family.inputs(), target=target, output=folder / "model.so")
    except UserError as error:
        if "has no binary layer" not in str(error):
            raise
        return Row(family, 0, 0, "refused: no binary layer")
    parity = compiled.report.parity
    found = sum(layer.binary for layer in compiled.report.layers)
    on_planes = sum(layer.runs_on_bits and not layer.binary for layer in compiled.report.layers)
    if parity is None:
        return Row(family, found, on_planes, compiled.report.not_verified, compiled.report.layers)
    agreement = f"{parity.right}/{parity.samples}, max |Δ| {parity.max_difference:.1e}"
    return Row(family, found, on_planes, agreement, compiled.report.layers)


def main(target: str = "native", only: str = "") -> int:
    """Compile the acceptance set and print a row for each family.

    Parameters
    ----------
    target
        As for ``tvm_bnn.compile``.
    only
        Compile only the families whose names contain this.

    Returns
    -------
    0 if every family is right, else 1.
    """
    return finish(lambda: _compile_all(target, only), debug=False)


def _compile_all(target: str, only: str) -> int:
    require("experiments.families", "tvm-bnn[torch]", "torch")
    from experiments.families.catalog import FAMILIES

    print("| family | how it spells binarization | binary layers found / there | on bit planes | parity | right |")
    print("|---|---|---|---|---|---|")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for family in (family for family in FAMILIES if only in family.name):
            try:
                row = compile_family(family, target, Path(folder))
            except UserError as error:
                row = Row(family, 0, 0, str(error))
            wrong += not row.is_right
            cells = (
                family.name,
                family.idiom.replace("|", "\\|"),
                f"{row.found} / {family.binary_layers}",
                f"{row.on_planes} / {family.plane_layers}" if family.plane_layers or row.on_planes else "",
                row.parity.replace("|", "\\|"),
                "yes" if row.is_right else "NO",
            )
            print(f"| {' | '.join(cells)} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
