"""``tvm-bnn COMMAND``: the same commands as ``python -m tvm_bnn.COMMAND``."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "compile": "compile a trained binarized PyTorch or ONNX model and report on it",
    "tune": "find the fastest schedule of every layer of a model, and work on the logs of that",
    "lab": "compile a model for several boards, run it on each, and compare their answers",
    "bench": "measure this machine, single layers and whole networks, beside what others reach",
    "report": "make one HTML page of a compilation's report and benchmark results",
}


def main() -> int:
    """Hand the arguments to the command named first and return its exit code."""
    match sys.argv[1:]:
        case [name, *arguments] if name in COMMANDS:
            code: int = importlib.import_module(f"tvm_bnn.{name}").main(arguments)
            return code
        case ["-h" | "--help"]:
            print(_usage())
            return 0
    print(_usage(), file=sys.stderr)
    return 2


def _usage() -> str:
    lines = [f"  {name:10} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        ["usage: tvm-bnn COMMAND [options]", "", *lines, "", "tvm-bnn COMMAND --help shows a command's options"]
    )
