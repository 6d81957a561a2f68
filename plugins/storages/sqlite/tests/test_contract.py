"""The SQLite storage passes the kit."""

import pytest

from ergaster.testing import StorageContract
from ergaster_sqlite import SqliteStorage


class TestSqlite(StorageContract):
    opener = "ergaster_sqlite:SqliteStorage"
    is_shared_by_processes = True

    @pytest.fixture
    def place(self, tmp_path):
        return f"sqlite:///{tmp_path}/kit.db"


async def test_database_in_memory_does_the_same():
    storage = SqliteStorage("sqlite:///:memory:")
    await storage.append("t", "s", ["1"])

    assert [entry.data for entry in await storage.read("t", "s")] == ["1"]
    await storage.close()
