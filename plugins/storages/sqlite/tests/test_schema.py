"""Indexes are real, migrations begin anywhere, and names are the user's."""

import asyncio
import re
import sqlite3

import pytest
import sqlalchemy as sa

from ergaster.contracts.storage import Order, Table
from ergaster.errors import InvalidInput, StorageCorrupt
from ergaster.filters import And, Eq, In, Range
from ergaster_sqlite import SqliteSettings, SqliteStorage
from ergaster_sqlite.opening import dialect
from ergaster_support_sql import HEAD, Layout, RecordStatements, StreamStatements
from ergaster_support_sql.migrate import known_revisions
from ergaster_support_sql.pages import page_statements
from ergaster_support_storage import check_query, encode_cursor

TABLE = Table("runs", (("status", "text"), ("number", "integer")))


@pytest.fixture
def path(tmp_path):
    """Give a database with some records and entries."""
    path = tmp_path / "a.db"
    asyncio.run(fill(path))
    return path


async def fill(path):
    storage = SqliteStorage(str(path))
    await asyncio.gather(*(storage.put(TABLE, "t", f"r{number}", {"status": "done", "number": number}) for number in range(50)))
    await storage.append("t", "s", ["1"] * 50)
    await storage.close()


def plans(path, text, values):
    connection = sqlite3.connect(path)
    found = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    connection.close()
    return found


def position(where, order, value):
    start = check_query(TABLE, "t", where=where, order=order, limit=10, cursor=None)
    return check_query(TABLE, "t", where=where, order=order, limit=10, cursor=encode_cursor(start.fingerprint, value, "r7"))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("value", [None, 7])
def test_each_page_walks_a_declared_index(path, descending, value):
    order = Order("number", descending)
    first = check_query(TABLE, "t", where=None, order=order, limit=10, cursor=None)
    for query in (first, position(None, order, value)):
        for statement in page_statements(Layout(), "t", query, dialect()):
            (step, *rest) = plans(path, statement.text, statement.bound(11))

            assert re.match(r"SEARCH .* USING INDEX ergaster_ix_", step), step
            assert "tenant=?" in step
            assert not [part for part in rest if "ORDER BY" in part and "RIGHT PART" not in part and "LAST TERM" not in part], (
                rest
            )


@pytest.mark.parametrize("where", [Eq("status", "done"), In("number", (1, 2)), Range("number", ge=3, lt=9), Eq("number", None)])
def test_each_filter_searches_a_declared_index(path, where):
    query = check_query(TABLE, "t", where=And((where,)), order=None, limit=10, cursor=None)
    (statement,) = page_statements(Layout(), "t", query, dialect())

    (step, *_) = plans(path, statement.text, statement.bound(11))

    assert re.match(r"SEARCH .* USING INDEX ergaster_ix_", step), step


def test_hot_statements_search_their_keys(path):
    streams, records = StreamStatements(Layout()), RecordStatements(Layout(), TABLE)
    cases = [
        (streams.find, ("t", "s")),
        (streams.last, ("t", "s")),
        (streams.read, ("t", "s", 3, 9, 5)),
        (streams.read_newest, ("t", "s", 3, 9, 5)),
        (streams.drop_entries, ("t", "s")),
        (records.get, ("t", "r1")),
        (records.find, ("t", "r1")),
        (records.update((0, 1)), ("{}", 2, 0, None, None, "t", "r1")),
        (records.delete, ("t", "r1")),
    ]
    for text, values in cases:
        steps = plans(path, text, values)

        assert steps, text
        assert not [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step], (text, steps)


def test_newest_revision_is_the_one_that_the_code_names():
    assert known_revisions()[0] == HEAD


def test_first_schema_is_what_its_revision_says(path):
    connection = sqlite3.connect(path)
    tables = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith("sqlite_")
    }
    revision = connection.execute("SELECT version_num FROM ergaster_version").fetchone()
    indexes = {
        name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
    }
    connection.close()

    assert tables == {"ergaster_version", "ergaster_streams", "ergaster_entries", "ergaster_tables", "ergaster_record_runs"}
    assert revision == (HEAD,)
    assert {name.rpartition("_")[2] for name in indexes} == {"status", "number"}


async def test_database_without_its_schema_is_migrated_from_the_first_revision(tmp_path):
    """A process that was killed before its migration was committed leaves an empty database in WAL mode."""
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE ergaster_version (version_num VARCHAR(32) NOT NULL)")
    connection.commit()
    connection.close()

    storage = SqliteStorage(str(path))
    assert await storage.append("t", "s", ["1"]) == 1
    await storage.close()


async def test_many_storages_create_one_database_at_once(tmp_path):
    storages = [SqliteStorage(str(tmp_path / "a.db"), SqliteSettings(busy_timeout=20.0 + number)) for number in range(4)]

    await asyncio.gather(*(storage.append("t", "s", ["1"]) for storage in storages))

    assert await storages[0].last_seq("t", "s") == 4
    for storage in storages:
        await storage.close()


async def test_prefix_keeps_two_sets_of_tables_apart(tmp_path):
    first = SqliteStorage(str(tmp_path / "a.db"))
    second = SqliteStorage(str(tmp_path / "a.db"), SqliteSettings(table_prefix="app_", share_file=True))
    await first.append("t", "s", ["1"])
    await first.put(TABLE, "t", "r", {"status": "a"})

    assert await second.last_seq("t", "s") == 0
    assert (await second.query(TABLE, "t")).records == ()
    await first.close()
    await second.close()


async def test_index_that_no_record_fits_is_refused_and_changes_nothing(tmp_path):
    storage = SqliteStorage(str(tmp_path / "a.db"))
    await storage.put(Table("notes"), "t", "r", {"rank": "high"})
    with pytest.raises(InvalidInput, match="'r' stands in the way"):
        await storage.query(Table("notes", (("rank", "integer"),)), "t")

    assert await storage.put(Table("notes"), "t", "r", {"rank": "low"}) == 2
    assert len((await storage.query(Table("notes"), "t")).records) == 1
    await storage.close()


@pytest.mark.parametrize("second", [Table("Notes"), Table("notes", (("Rank", "integer"),))])
async def test_names_that_differ_in_case_only_are_refused(tmp_path, second):
    storage = SqliteStorage(str(tmp_path / "a.db"))
    await storage.put(Table("notes", (("rank", "integer"),)), "t", "r", {})
    with pytest.raises(InvalidInput, match="case"):
        await storage.put(second, "t", "r", {})
    await storage.close()


async def test_index_from_a_newer_process_is_filled_by_an_older_one(tmp_path):
    older, newer = Table("notes"), Table("notes", (("rank", "integer"),))
    storage = SqliteStorage(str(tmp_path / "a.db"))
    other = SqliteStorage(str(tmp_path / "a.db"), SqliteSettings(busy_timeout=29.0))  # a connection of its own
    await storage.put(older, "t", "a", {"rank": 1})
    await other.put(newer, "t", "b", {"rank": 2})
    await storage.put(older, "t", "c", {"rank": 3})

    found = await other.query(newer, "t", where=Range("rank", ge=1), order=Order("rank"))

    assert [record.id for record in found.records] == ["a", "b", "c"]
    await storage.close()
    await other.close()


def test_hot_statements_are_what_sqlalchemy_would_write():
    """The texts by hand and the tables of the schema speak of the same columns."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        from ergaster_support_sql.migrate import upgrade
        from ergaster_support_sql.schema import record_table

        upgrade(connection, Layout())
        record_table(Layout(), TABLE).create(connection)
        streams, records = StreamStatements(Layout()), RecordStatements(Layout(), TABLE)
        for statements in (streams, records):
            texts = [
                value
                for name in statements.__slots__
                if isinstance(value := getattr(statements, name, None), str) and " " in value
            ]
            assert len(texts) >= 4
            if statements is records:
                texts += [records.update(()), records.update((1,)), records.update((0, 1))]
            for text in texts:
                connection.exec_driver_sql(f"EXPLAIN {text}", tuple([None] * text.count("?")))
    engine.dispose()


async def test_update_writes_no_index_whose_field_stays_as_it_is(tmp_path):
    """A run's record is written several times; each index that is written anew is one more page of the disk."""
    path = tmp_path / "a.db"
    storage = SqliteStorage(str(path))
    await storage.put(TABLE, "t", "r", {"status": "new", "number": 1})
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TRIGGER told AFTER UPDATE OF i_number ON ergaster_record_runs BEGIN SELECT RAISE(ABORT, 'number'); END"
    )
    connection.close()

    assert 2 == await storage.put(TABLE, "t", "r", {"status": "done", "number": 1})
    with pytest.raises(StorageCorrupt, match="number"):
        await storage.put(TABLE, "t", "r", {"status": "done", "number": 2})
    assert {"status": "done", "number": 1} == (await storage.get(TABLE, "t", "r")).value

    await storage.close()
