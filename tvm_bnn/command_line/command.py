"""What all commands have in common: how they are found by name, and how they end."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from schedules.defects import defect
from schedules.errors import UserError

#: What a shell reports of a command that Ctrl-C ended.
INTERRUPTED = 130
#: What a command that fails unforeseen leaves in the working directory.
DEFECT = "tvm_bnn.error.txt"


def finish(command: Callable[[], int], debug: bool) -> int:
    """Return a command's exit code; an error is one line on stderr and 1, with ``debug`` a traceback.

    The traceback of what is no :class:`UserError` goes to a file here, which the line names.
    """
    try:
        return command()
    except UserError as error:
        return _complained(error, debug)
    except Exception as error:
        if debug:
            raise
        return _complained(defect(error, "the command", Path(DEFECT)), debug)
    except KeyboardInterrupt:
        return INTERRUPTED


def _complained(error: UserError, debug: bool) -> int:
    if debug:
        raise error
    from tvm_bnn.command_line.console import complain

    complain(str(error))
    return 1


@dataclasses.dataclass(frozen=True)
class Command:
    """Where a command's ``main(arguments)`` is, and what it does in a line."""

    module: str
    summary: str


def dispatch(program: str, commands: Mapping[str, Command], words: Sequence[str]) -> int:
    """Hand the arguments to the command named first and return its exit code, 2 if there is none of that name.

    Parameters
    ----------
    program
        As the user calls it.
    commands
        By name.
    words
        The command line.
    """
    match words:
        case [name, *arguments] if name in commands:
            code: int = importlib.import_module(commands[name].module).main(arguments)
            return code
        case ["-h" | "--help"]:
            print(_usage(program, commands))
            return 0
    print(_usage(program, commands), file=sys.stderr)
    return 2


def _usage(program: str, commands: Mapping[str, Command]) -> str:
    lines = [f"  {name:10} {command.summary}" for name, command in commands.items()]
    heading = f"usage: {program} COMMAND [options]"
    return "\n".join([heading, "", *lines, "", f"{program} COMMAND --help shows a command's options"])
