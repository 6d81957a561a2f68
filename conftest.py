"""Settings shared by every test of the workspace."""

import pytest
from hypothesis import settings

settings.register_profile("ergaster", deadline=None)  # a busy machine is no failure
settings.load_profile("ergaster")


@pytest.fixture
def anyio_backend() -> str:
    """The core runs on asyncio; aiohttp and the vendors' transports do, too."""
    return "asyncio"
