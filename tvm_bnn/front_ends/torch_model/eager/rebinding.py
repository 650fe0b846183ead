"""Let a tracer see what is read and written through ``.data``.

``t.data = v`` makes ``t`` another name for the numbers of ``v``: views that were taken of ``t`` before keep the old
ones. Tracers record none of that. Under this mode every later use of ``t`` is a use of ``v``, wherever that is from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

_READ = torch.Tensor.data.__get__  # type: ignore[attr-defined]
_WRITE = torch.Tensor.data.__set__  # type: ignore[attr-defined]


class Rebinding(TorchFunctionMode):
    """Replaces tensors by what was last assigned to their ``.data``."""

    def __init__(self, module: torch.nn.Module) -> None:
        """Watch a module, to which two hooks are added: each run starts anew, and its results are replaced too."""
        super().__init__()
        #: By the identity of the tensor, which is kept alive beside what stands for it.
        self._bound: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        module.register_forward_pre_hook(lambda *_: self._bound.clear())
        module.register_forward_hook(lambda _, __, result: tree_map(self._current, result))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func == _WRITE:
            self._bound[id(args[0])] = args[0], self._current(args[1]).detach()
            return None
        if self._bound:
            args, kwargs = tree_map(self._current, args), tree_map(self._current, kwargs or {})
        return args[0].detach() if func == _READ else func(*args, **(kwargs or {}))

    def _current(self, value: Any) -> Any:
        while isinstance(value, torch.Tensor) and id(value) in self._bound:
            value = self._bound[id(value)][1]
        return value
