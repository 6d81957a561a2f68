"""A circuit: a model that failed several times in a row is left alone for a while."""

from __future__ import annotations

from attrs import define

__all__ = ["Circuit"]


@define
class Circuit:
    """Counts the failures of one model; times are seconds of a monotonic clock, handed in.

    Attributes:
        threshold: Failures in a row that open it.
        cool_down: Seconds for which it stays open; after them one call goes through, and its outcome decides.
        failures: Failures in a row so far.
        open_until: When the next call may go through, once it has opened.
    """

    threshold: int
    cool_down: float
    failures: int = 0
    open_until: float = 0.0

    def is_ready(self, now: float) -> bool:
        """Say whether a call may go through."""
        return self.failures < self.threshold or now >= self.open_until

    def admit(self, now: float) -> bool:
        """Say whether this call may go through; of those that come while an open circuit is tried, one may."""
        if not self.is_ready(now):
            return False
        if self.failures >= self.threshold:
            self.open_until = now + self.cool_down
        return True

    def succeed(self) -> None:
        """Close it."""
        self.failures = 0

    def fail(self, now: float) -> None:
        """Count a failure."""
        self.failures += 1
        if self.failures >= self.threshold:
            self.open_until = now + self.cool_down
