"""What may lie at an address, and what the errors say about it."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ergaster.contracts.storage import Table
from ergaster.errors import InvalidInput, InvalidOption, StorageCorrupt, StorageUnavailable, Unsupported
from ergaster.refs import base_dir, parse_ref
from ergaster_sqlite import SqliteSettings, SqliteStorage
from ergaster_sqlite.plugin import create_storage, ergaster_storages
from ergaster_sqlite.settings import database_path

TABLE = Table("notes", (("name", "text"),))


async def opened(path, settings=None):
    storage = SqliteStorage(f"sqlite:///{path}", settings)
    await storage.open()
    return storage


async def fails(path, error, *words, settings=None):
    storage = SqliteStorage(f"sqlite:///{path}", settings)
    with pytest.raises(error) as caught:
        await storage.append("t", "s", ["1"])
    for word in (path.name if path.parent.exists() else path.parent.name, *words):
        assert word in str(caught.value)
    await storage.close()


def test_url_is_relative_with_three_slashes_and_absolute_with_four(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert repr(SqliteStorage("sqlite:///a.db")) == f"SqliteStorage('{tmp_path}/a.db')"
    assert repr(SqliteStorage("sqlite:////srv/a.db")) == "SqliteStorage('/srv/a.db')"
    assert repr(SqliteStorage("a.db")) == f"SqliteStorage('{tmp_path}/a.db')"


@pytest.mark.parametrize(
    "address", ["sqlite://a.db", "sqlite://", "sqlite:///", "", "sqlite://host/a.db", "sqlite:///a.db?mode=ro"]
)
def test_address_without_a_file_is_an_invalid_option(address):
    with pytest.raises(InvalidOption):
        SqliteStorage(address)


@pytest.mark.parametrize("options", [{"durability": "none"}, {"busy_timeout": -1}, {"busy_timeout": "5"}])
def test_wrong_option_is_refused(options):
    with pytest.raises(InvalidOption):
        SqliteSettings(**options)
    with pytest.raises(InvalidInput):
        SqliteStorage("a.db", SqliteSettings(table_prefix="x; DROP"))
    with pytest.raises(InvalidOption):
        SqliteStorage("sqlite:///:memory:", SqliteSettings(read_only=True))


def test_plugin_makes_a_storage_from_a_reference():
    (spec,) = ergaster_storages()

    storage = spec.factory(parse_ref("sqlite:////srv/a.db"), SqliteSettings())

    assert (spec.name, spec.settings) == ("sqlite", SqliteSettings)
    assert repr(storage) == "SqliteStorage('/srv/a.db')"
    with pytest.raises(InvalidOption):
        create_storage(parse_ref("sqlite"), SqliteSettings())


async def test_missing_folder_is_named(tmp_path):
    await fails(tmp_path / "missing" / "a.db", StorageUnavailable, "does not exist", "create it")


async def test_directory_is_no_database(tmp_path):
    await fails(tmp_path, StorageUnavailable, "is a directory")


@pytest.mark.parametrize("content", [b"hello, this is no database at all\n" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_file_that_is_no_database_is_left_alone(tmp_path, content):
    path = tmp_path / "a.db"
    path.write_bytes(content)

    await fails(path, StorageCorrupt, "move it away")

    assert path.read_bytes() == content


async def test_damaged_page_is_reported(tmp_path):
    path = tmp_path / "a.db"
    storage = await opened(path)
    await storage.append("t", "s", ["x" * 500] * 200)
    await storage.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xaa" * (len(content) - 4096)
    path.write_bytes(content)

    await fails(path, StorageCorrupt, "damaged")


async def test_database_of_another_application_is_left_alone_unless_shared(tmp_path):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE customers (id)")
    other.close()
    before = path.read_bytes()
    await fails(path, StorageCorrupt, "another application", "customers", "share_file")
    assert path.read_bytes() == before

    storage = await opened(path, SqliteSettings(share_file=True, table_prefix="app_"))
    await storage.append("t", "s", ["1"])
    await storage.close()

    with sqlite3.connect(path) as other:
        assert {"customers", "app_entries"} <= {name for (name,) in other.execute("SELECT name FROM sqlite_schema")}
    other.close()


async def test_tables_of_ours_without_a_version_are_refused(tmp_path):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE ergaster_entries (whatever)")
    other.close()

    await fails(path, StorageCorrupt, "ergaster_entries")


async def test_newer_schema_is_refused_and_untouched(tmp_path):
    path = tmp_path / "a.db"
    await (await opened(path)).close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE ergaster_version SET version_num = '9999'")
    other.close()

    await fails(path, StorageCorrupt, "newer version", "update ergaster-sqlite")


async def test_read_only_reads_and_refuses_to_write(tmp_path):
    path = tmp_path / "a.db"
    writer = await opened(path)
    await writer.append("t", "s", ["1"])
    await writer.put(TABLE, "t", "r", {"name": "a"})
    await writer.close()

    reader = await opened(path, SqliteSettings(read_only=True))

    assert [entry.data for entry in await reader.read("t", "s")] == ["1"]
    assert len((await reader.query(TABLE, "t")).records) == 1
    for write in (
        reader.append("t", "s", ["2"]),
        reader.put(TABLE, "t", "r", {}),
        reader.delete(TABLE, "t", "r"),
        reader.drop("t", "s"),
    ):
        with pytest.raises(Unsupported):
            await write
    with pytest.raises(Unsupported):
        await reader.query(Table("unknown"), "t")
    await reader.close()


async def test_read_only_does_not_create(tmp_path):
    storage = SqliteStorage(str(tmp_path / "a.db"), SqliteSettings(read_only=True))
    with pytest.raises(StorageUnavailable, match="read_only"):
        await storage.read("t", "s")

    assert list(tmp_path.iterdir()) == []


AS_NOBODY = """
import asyncio, os, sys
from ergaster.errors import StorageUnavailable
from ergaster_sqlite import SqliteSettings, SqliteStorage
os.setuid(65534)
async def main(path):
    try:
        await SqliteStorage(path).append("t", "s", ["1"])
    except StorageUnavailable as error:
        print(error)
    reader = SqliteStorage(path, SqliteSettings(read_only=True))
    if os.path.exists(path):
        print([entry.data for entry in await reader.read("t", "s")])
asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def locked():
    """Give a folder that only root may write; the folders above are open, which those of pytest are not."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("needs to be root to become somebody without rights")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("exists", [True, False])
async def test_folder_without_write_permission_is_named(locked, exists):
    path = locked / "a.db"
    if exists:
        storage = await opened(path)
        await storage.append("t", "s", ["1"])
        await storage.close()

    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(path)], capture_output=True, text=True, timeout=60, check=False)

    assert f"{locked} cannot be written" in done.stdout, done.stderr
    assert ("['1']" in done.stdout) is exists, done.stdout + done.stderr


def test_importing_the_plugin_loads_no_database_library():
    code = "import sys, ergaster_sqlite.plugin; print({'sqlalchemy', 'alembic', 'hypothesis', 'cattrs'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "set()"


async def test_existing_database_is_used_without_loading_sqlalchemy(tmp_path):
    path = tmp_path / "a.db"
    storage = await opened(path)
    await storage.put(TABLE, "t", "r", {"name": "a"})
    await storage.close()
    code = f"""
import asyncio, sys
from ergaster.contracts.storage import Table
from ergaster_sqlite import SqliteStorage
async def main():
    storage = SqliteStorage({str(path)!r})
    await storage.append("t", "s", ["1"])
    print(await storage.put(Table("notes", (("name", "text"),)), "t", "r", {{"name": "b"}}), "sqlalchemy" in sys.modules)
    await storage.close()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "2 False"


def test_a_relative_path_starts_from_the_folder_of_the_configuration(tmp_path):
    token = base_dir.set(tmp_path)
    try:
        assert str(tmp_path / "agents.db") == database_path("sqlite:///agents.db")
    finally:
        base_dir.reset(token)
