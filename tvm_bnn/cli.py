"""``tvm-bnn COMMAND``: the same commands as ``python -m tvm_bnn.COMMAND``."""

from __future__ import annotations

import sys

from tvm_bnn.command import dispatch

COMMANDS = {
    "compile": "compile a trained binarized PyTorch or ONNX model and report on it",
    "tune": "find the fastest schedule of every layer of a model, and work on the logs of that",
    "lab": "compile a model for several boards, run it on each, and compare their answers",
    "bench": "measure this machine, single layers and whole networks, beside what others reach",
    "report": "make one HTML page of a compilation's report and benchmark results",
}


def main() -> int:
    """Hand the arguments to the command named first and return its exit code."""
    return dispatch("tvm-bnn", "tvm_bnn", COMMANDS, sys.argv[1:])
