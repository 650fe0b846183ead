"""A rewriter that knows which values the variables of the function it builds can take."""

from __future__ import annotations

from tvm import relax

from relay_passes.analysis.value_domain import ValueDomains
from relay_passes.rewrite import Expr, Rewriter


class DomainRewriter(Rewriter):
    """Keeps ``self.domains`` up to date with every binding that it emits."""

    def __init__(self, proves_zeros: bool = False) -> None:
        """Start with an empty function; ``proves_zeros`` as :class:`ValueDomains` has it."""
        super().__init__()
        self.domains = ValueDomains(proves_zeros)

    def begin(self, function: relax.Function) -> None:
        """Learn the function's inputs."""
        self.domains.enter(function.params)

    def emit(self, value: Expr, name: str = "") -> relax.Var:
        """Bind a value in the new function, note what values it takes, and return its variable."""
        var = super().emit(value, name)
        self.domains.observe(var, value)
        return var
