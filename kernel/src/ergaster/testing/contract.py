"""What all contract kits have in common."""

from __future__ import annotations

import pytest

__all__ = ["Contract"]


class Contract:
    """A kit is a plain class of tests; a plugin's test module subclasses it and gives what it asks for.

    Its asynchronous tests run on asyncio, with no settings in the project that uses it. A test of a kit is never
    overridden; where a plugin cannot pass one yet, mark it as an expected failure with a reason.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run on asyncio."""
        return "asyncio"
