"""Telling whoever waits how far a download or a start is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeAlias

from attrs import field, frozen

__all__ = ["Progress", "Report", "log_progress"]

_CHANNEL = logging.getLogger("ergaster.progress")
_SECONDS_BETWEEN_RECORDS = 0.5


@frozen
class Progress:
    """How far something is.

    Attributes:
        what: What is being done, in words.
        done: How much of it.
        total: Of how much; 0 when that is not known.
        unit: What is counted, `bytes` or `seconds`.
    """

    what: str
    done: int
    total: int
    unit: str = "bytes"
    at: float = field(factory=time.monotonic, kw_only=True, repr=False, eq=False)

    def __str__(self) -> str:
        if self.unit != "bytes" or not self.total:
            return f"{self.what} ({self.done} {self.unit})"
        return f"{self.what}: {100 * self.done // self.total} % of {self.total / 1e6:,.0f} MB"


Report: TypeAlias = Callable[[Progress], None]


def log_progress(next_report: Report | None = None) -> Report:
    """Return a report function that logs to `ergaster.progress`, twice a second at most.

    Each record has the attribute `progress`, a mapping with `what`, `done`, `total` and `unit`, so that an application
    can draw a bar with a logging handler on that logger and without knowing this plugin.

    Args:
        next_report: Called with every report as well.
    """
    last = float("-inf")

    def report(progress: Progress) -> None:
        nonlocal last
        if next_report is not None:
            next_report(progress)
        is_end = bool(progress.total) and progress.done >= progress.total
        if is_end or progress.at - last >= _SECONDS_BETWEEN_RECORDS:
            last = progress.at
            facts = {"what": progress.what, "done": progress.done, "total": progress.total, "unit": progress.unit}
            _CHANNEL.info("%s", progress, extra={"progress": facts})

    return report
