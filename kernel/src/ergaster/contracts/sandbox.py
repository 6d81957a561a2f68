"""The contract of a sandbox: where foreign code runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from attrs import field, frozen

__all__ = ["Sandbox", "SandboxResult"]


@frozen
class SandboxResult:
    """How a command ended; outputs are cut at the sandbox's limit with a visible mark."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""
    files: Mapping[str, bytes] = field(factory=dict, repr=False)


class Sandbox(ABC):
    """Runs commands apart from this process, with no network and no environment unless granted."""

    @abstractmethod
    async def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", files: Mapping[str, bytes] | None = None, timeout: float = 60.0
    ) -> SandboxResult:
        """Run *argv* without a shell; when the sandbox itself fails, raise, never run it in this process."""

    async def close(self) -> None:
        """Remove everything."""
