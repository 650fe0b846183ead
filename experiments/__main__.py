"""``python -m experiments COMMAND``: run BiBench's tracks, train a network, report."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "run": "compute the cells of one track, or of all, that have no result yet",
    "train": "train one network on one data set, and test what is compiled from it",
    "report": "make one HTML page and its Markdown of the results",
}
#: What a shell reports of a command that Ctrl-C ended.
_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Hand the arguments to the command named first and return its exit code."""
    match arguments:
        case [name, *rest] if name in COMMANDS:
            try:
                code: int = importlib.import_module(f"experiments.commands.{name}").main(rest)
            except KeyboardInterrupt:
                return _INTERRUPTED
            return code
        case ["-h" | "--help"]:
            print(_usage())
            return 0
    print(_usage(), file=sys.stderr)
    return 2


def _usage() -> str:
    lines = [f"  {name:10} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            *("usage: python -m experiments COMMAND [options]", "", *lines, ""),
            "python -m experiments COMMAND --help shows a command's options",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
