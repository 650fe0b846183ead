"""How much somebody may ask for in a time: what is beyond it waits, and nobody else does."""

from __future__ import annotations


class Allowance:
    """So much a second, and as much at once as was saved up."""

    def __init__(self, rate: float, most: float) -> None:
        """Begin with all that can be saved up.

        Parameters
        ----------
        rate
            A second.
        most
            That can be saved up.
        """
        self._rate, self._most = rate, most
        self._left, self._at = most, 0.0

    def spend(self, amount: float, now: float) -> float:
        """Take some, and return for how many seconds to wait before more is taken.

        Parameters
        ----------
        amount
            May be more than there is: then the wait is longer.
        now
            Seconds on a clock that nobody sets.
        """
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._rate) - amount
        self._at = now
        return max(0.0, -self._left / self._rate)
