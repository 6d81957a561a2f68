"""The memory storage passes the kit, and what is particular to it."""

from uuid import uuid4

import pytest

from ergaster.testing import StorageContract
from ergaster_memory import MemoryStorage


class TestMemory(StorageContract):
    opener = "ergaster_memory:MemoryStorage"

    @pytest.fixture
    def place(self):
        return uuid4().hex


async def test_each_unnamed_memory_is_its_own():
    first, second = MemoryStorage(), MemoryStorage()
    await first.append("t", "s", ["1"])

    assert await second.last_seq("t", "s") == 0


async def test_shared_memory_goes_with_its_last_storage():
    first = MemoryStorage("scratch")
    await first.append("t", "s", ["1"])
    assert await MemoryStorage("scratch").last_seq("t", "s") == 1
    del first

    assert await MemoryStorage("scratch").last_seq("t", "s") == 0
