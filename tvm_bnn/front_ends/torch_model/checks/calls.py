"""Refuse programs that are not called with one tensor for each argument."""

from __future__ import annotations

from torch.export import ExportedProgram
from torch.utils._pytree import TreeSpec

from schedules.errors import UserError

_ADVICE = "export it with one tensor for each argument of forward, by position: torch.export.export(model, (x, y))"


def refuse_unusual_calls(program: ExportedProgram, name: str) -> None:
    """Refuse inputs by keyword, and inputs that are dicts or tuples of tensors.

    Raises
    ------
    UserError
        That names the input.
    """
    spec = program.call_spec.in_spec
    if spec is None:
        return
    positional, by_keyword = spec.children()
    keywords = list(by_keyword.context or ())
    if keywords:
        names = ", ".join(f"'{keyword}'" for keyword in keywords)
        raise UserError(f"model '{name}' takes {names} by keyword; {_ADVICE}")
    for index, each in enumerate(positional.children()):
        if not each.is_leaf():
            raise UserError(f"model '{name}': its input number {index} is a {_kind(each)} of tensors; {_ADVICE}")


def _kind(spec: TreeSpec) -> str:
    return getattr(spec.type, "__name__", str(spec.type))
