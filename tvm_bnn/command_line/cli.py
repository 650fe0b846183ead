"""``tvm-bnn COMMAND``: the same commands as ``python -m tvm_bnn.COMMAND``."""

from __future__ import annotations

import sys

from tvm_bnn.command_line.command import Command, dispatch

COMMANDS = {
    "compile": Command("tvm_bnn.compile.command", "compile a trained binarized PyTorch or ONNX model and report on it"),
    "tune": Command("tvm_bnn.tune.command", "find the fastest schedule of every layer of a model, and work on logs"),
    "lab": Command("tvm_bnn.lab", "compile a model for several boards, run it on each, and compare their answers"),
    "bench": Command(
        "tvm_bnn.bench.command", "measure this machine, layers and whole networks, beside what others reach"
    ),
    "report": Command("tvm_bnn.report.command", "make one HTML page of a compilation's report and benchmark results"),
}


def main() -> int:
    """Hand the arguments to the command named first and return its exit code."""
    return dispatch("tvm-bnn", COMMANDS, sys.argv[1:])
