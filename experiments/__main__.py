"""``python -m experiments COMMAND``: run BiBench's tracks, train a network, report."""

from __future__ import annotations

import sys

from tvm_bnn.command_line.command import Command, dispatch

COMMANDS = {
    "run": Command("experiments.commands.run", "compute the cells of one track, or of all, that have no result yet"),
    "train": Command(
        "experiments.commands.train", "train one network on one data set, and test what is compiled of it"
    ),
    "report": Command("experiments.commands.report", "make one HTML page and its Markdown of the results"),
}


def main(arguments: list[str]) -> int:
    """Hand the arguments to the command named first and return its exit code."""
    return dispatch("python -m experiments", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
