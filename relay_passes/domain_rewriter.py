"""A rewriter that knows which values the variables of the function it builds can take."""

from __future__ import annotations

from tvm import relax

from relay_passes.rewrite import Expr, Rewriter
from relay_passes.value_domain import ValueDomains


class DomainRewriter(Rewriter):
    """Keeps ``self.domains`` up to date with every binding that it emits."""

    def __init__(self) -> None:
        """Start with an empty function."""
        super().__init__()
        self.domains = ValueDomains()

    def emit(self, value: Expr, name: str = "") -> relax.Var:
        """Bind a value in the new function, note what values it takes, and return its variable."""
        var = super().emit(value, name)
        self.domains.observe(var, value)
        return var
