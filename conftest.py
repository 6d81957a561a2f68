"""Settings shared by every test of the workspace."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The core runs on asyncio; aiohttp and the vendors' transports do, too."""
    return "asyncio"
