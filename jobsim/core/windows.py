"""What has been counted of late: sums over a window that slides in ten slices. Values; no clock."""

from typing import Final, NamedTuple

from jobsim.core.time import SECOND

SLICES: Final = 10
"""Into how many slices a window is cut: what it holds is between nine tenths and all of its length.

Source: Polly, Polly.Core, RollingHealthMetrics.cs, and Finagle, util/WindowedAdder.scala, which cut alike.
"""

SKEW: Final = 120 * SECOND
"""By how much the times of two calls may be out of order: a clock further ahead has been set back since."""


class Window(NamedTuple):
    """Sums a slice, oldest first; `slot` numbers the last one since the epoch."""

    slot: int = 0
    sums: tuple[int, ...] = (0,) * SLICES

    @property
    def total(self) -> int:
        """The sum over the whole window."""
        return sum(self.sums)

    def at(self, now: int, length: int) -> "Window":
        """Return the window of that `length` as it stands at `now`, both in microseconds."""
        slice_ = -(-length // SLICES)
        slot = now // slice_
        passed = slot - self.slot
        if passed > 0:
            return Window(slot, (*self.sums[passed:], *(0,) * min(passed, SLICES)))
        return self if -passed * slice_ <= length + SKEW else Window(slot)

    def add(self, amount: int) -> "Window":
        """Return the window with `amount` added to its last slice."""
        return Window(self.slot, (*self.sums[:-1], self.sums[-1] + amount))
