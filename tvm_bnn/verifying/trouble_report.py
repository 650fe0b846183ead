"""What reports say of samples that look for trouble."""

from __future__ import annotations

import msgspec


class Trouble(msgspec.Struct, frozen=True):
    """What came of samples that look for trouble.

    Parameters
    ----------
    tried
        Kinds of samples, a batch each.
    failed
        Those on which the compiled model and its reference disagree, each with what was found.
    undecided
        Those on which they disagree, too, but rounding decides for the reference as well.
    not_taken
        Those that the reference refuses.
    not_finite
        Inputs that are not finite to which one of the two answers numbers and the other none.
    broken
        How many of the failed kinds get answers that are not finite where the reference's are.
    """

    tried: tuple[str, ...]
    failed: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    not_taken: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()
    broken: int = 0
