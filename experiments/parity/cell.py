"""One cell of the product: build a network, calibrate it, compile it, and say how it compares."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from experiments.architectures.architecture import Architecture
from experiments.architectures.calibration import calibrate, draw_offsets
from experiments.binarizers.parts.binarizer import Binarizer
from experiments.complexity import complexity
from experiments.parity.records import Cell
from tvm_bnn.compile.compiler import compile_model
from tvm_bnn.compile.reporting.compilation_report import Report

CLASSES = 10
SEED = 0
_BATCHES, _SAMPLES = 4, 8


def run_cell(architecture: Architecture, binarizer: Binarizer, *, small: bool, target: str) -> Cell:
    """Compile one network with random weights, and hold it against PyTorch.

    Whatever stops the compiler is a result, too: the cell then carries its message.
    """
    torch.manual_seed(SEED)
    model = architecture.build(binarizer, classes=CLASSES, small=small)
    batches = _BATCHES if small else 1
    samples = _SAMPLES if small else _SAMPLES // 2
    if not small:  # whose statistics are those of four samples
        draw_offsets(model, SEED)
    seeds = range(SEED + 1, SEED + 1 + batches)
    calibrate(model, (architecture.example_input(samples, small=small, seed=seed) for seed in seeds))
    inputs = architecture.example_input(small=small)
    there = complexity(model, inputs).products_binary
    cell = Cell(architecture=architecture.name, binarizer=binarizer.name, small=small, target=target, there=there)
    try:
        with tempfile.TemporaryDirectory(prefix="tvm_bnn_") as folder:
            report = compile_model(model, inputs, target=target, output=Path(folder) / "network.so").report
    except (RuntimeError, TypeError, ValueError) as error:  # UserError is a ValueError
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        return cell.with_(message=message)
    return _compared(cell, report)


def _compared(cell: Cell, report: Report) -> Cell:
    parity = report.parity
    found = sum(layer.runs_on_bits for layer in report.layers)
    if parity is None:
        return cell.with_(layers=len(report.layers), on_bits=found, message=report.not_verified)
    return cell.with_(
        layers=len(report.layers),
        on_bits=found,
        samples=parity.samples,
        agreeing=parity.agreeing,
        explained=parity.explained,
        yardstick=parity.yardstick_agreeing,
        max_difference=parity.max_difference,
        relative_error=parity.relative_error,
    )
