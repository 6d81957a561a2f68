"""Settings shared by every test of the workspace."""

import os

import pytest
from hypothesis import settings

# A busy machine is no failure, so there is no deadline. The same examples are tried at every run, so that a change is
# never blamed for what another seed finds; `ERGASTER_EXPLORE=1` looks for new ones.
settings.register_profile("ergaster", deadline=None, derandomize="ERGASTER_EXPLORE" not in os.environ)
settings.load_profile("ergaster")


@pytest.fixture
def anyio_backend() -> str:
    """The core runs on asyncio; aiohttp and the vendors' transports do, too."""
    return "asyncio"
