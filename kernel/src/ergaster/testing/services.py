"""Tests that need something which is not always there: a server, a program, downloaded weights."""

from __future__ import annotations

import os

import pytest

__all__ = ["REQUIRE_SERVICES", "require_service"]

REQUIRE_SERVICES = "ERGASTER_REQUIRE_SERVICES"
"""Set to `1` where every service has to be there, as in continuous integration: what is missing then fails."""


def require_service(name: str, available: bool, reason: str, *, may_vanish: bool = False) -> None:
    """Skip the calling test, fixture or module when a service is missing; fail when services are required.

    Args:
        name: What is needed: `llama-server`, `PostgreSQL`.
        available: Whether it is there; look for it before you call.
        reason: Why it is missing and what would bring it: `install it, or put it on PATH`.
        may_vanish: Skip even where services are required: for downloads that others may take away.
    """
    if available:
        return
    message = f"{name} is missing: {reason}"
    if os.environ.get(REQUIRE_SERVICES) == "1" and not may_vanish:
        pytest.fail(f"{message} ({REQUIRE_SERVICES}=1 turns this skip into a failure)", pytrace=False)
    pytest.skip(message, allow_module_level=True)
