"""The storage kit's cases on records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import anyio.from_thread
import anyio.to_thread
import pytest

from ergaster.contracts.storage import Order, Record, Storage, Table
from ergaster.errors import InvalidInput, StorageConflict, Unsupported, ValueTooLarge
from ergaster.filters import And, Eq, Filter, In, Range, matches

__all__ = ["HOSTILE", "RecordCases"]

TABLE = Table("kit_records", (("name", "text"), ("rank", "integer"), ("score", "number"), ("done", "boolean")))
MEBIBYTE = 1024 * 1024

HOSTILE = (
    "'",
    '"',
    "`",
    ";",
    "--",
    "' OR '1'='1",
    "'; DROP TABLE ergaster_entries; --",
    '" OR ""="',
    "%",
    "_",
    "*",
    "\\",
    "\\'",
    "$where",
    "$ne",
    '{"$gt": ""}',
    "../../etc/passwd",
    "${jndi:ldap://localhost}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    ":name",
    "?",
    "NULL",
    "0x27",
    "\u202etxt.exe",
    "ﬁ",
    "é",
    "e\u0301",
    "🦣" * 20,
)
"""Texts that are data wherever they stand: quotes, comments, operators, wildcards, templates, look-alikes."""

VALUES: tuple[dict[str, Any], ...] = (
    {},
    {"": ""},
    {"empty": [], "object": {}, "nothing": None, "yes": True, "no": False},
    {"text": "\x00 \ud800 \u202e 🦣 ﬁ e\u0301 \\u0000 \" ' \n"},
    {"whole": 2**80, "negative": -(2**63), "tiny": 5e-324, "zero": -0.0, "one": 1.0},
    {"deep": {"list": [[[{"a": [1, "1", 1.5]}]]]}},
    {"key with ' and \" and \x00": 1, "Ключ": 2},
)


class RecordCases:
    """What every storage does with records."""

    async def test_put_counts_versions(self, storage: Storage) -> None:
        before = datetime.now(UTC) - timedelta(minutes=1)

        versions = [await storage.put(TABLE, "t", "r", {"rank": rank}) for rank in (7, 8, 9)]
        record = await storage.get(TABLE, "t", "r")

        assert versions == [1, 2, 3]
        assert record is not None
        assert (record.id, dict(record.value), record.version) == ("r", {"rank": 9}, 3)
        assert record.updated_at.utcoffset() == timedelta(0)
        assert before < record.updated_at < datetime.now(UTC) + timedelta(minutes=1)

    async def test_unknown_record_is_none(self, storage: Storage) -> None:
        await storage.put(TABLE, "t", "r", {})

        assert await storage.get(TABLE, "t", "R") is None
        assert await storage.get(Table("kit_unused"), "t", "r") is None

    async def test_if_version_zero_creates_only(self, storage: Storage) -> None:
        assert await storage.put(TABLE, "t", "r", {"rank": 1}, if_version=0) == 1
        with pytest.raises(StorageConflict) as caught:
            await storage.put(TABLE, "t", "r", {"rank": 2}, if_version=0)

        assert (caught.value.expected, caught.value.actual) == (0, 1)
        assert await _value(storage, "r") == {"rank": 1}

    async def test_if_version_replaces_that_version_only(self, storage: Storage) -> None:
        await storage.put(TABLE, "t", "r", {"rank": 1})
        assert await storage.put(TABLE, "t", "r", {"rank": 2}, if_version=1) == 2
        for stale in (1, 3):
            with pytest.raises(StorageConflict):
                await storage.put(TABLE, "t", "r", {"rank": 3}, if_version=stale)
        with pytest.raises(StorageConflict):
            await storage.put(TABLE, "t", "absent", {}, if_version=1)

        assert await _value(storage, "r") == {"rank": 2}
        assert await storage.get(TABLE, "t", "absent") is None

    async def test_delete_says_whether_the_record_was_there(self, storage: Storage) -> None:
        await storage.put(TABLE, "t", "r", {})
        await storage.put(TABLE, "t", "r", {})

        assert await storage.delete(TABLE, "t", "r") is True
        assert await storage.delete(TABLE, "t", "r") is False
        assert await storage.get(TABLE, "t", "r") is None
        assert await storage.put(TABLE, "t", "r", {}) == 1

    async def test_delete_of_another_version_conflicts(self, storage: Storage) -> None:
        await storage.put(TABLE, "t", "r", {})
        with pytest.raises(StorageConflict):
            await storage.delete(TABLE, "t", "r", if_version=2)
        assert await storage.get(TABLE, "t", "r") is not None

        assert await storage.delete(TABLE, "t", "absent", if_version=2) is False
        assert await storage.delete(TABLE, "t", "r", if_version=1) is True

    async def test_values_come_back_unchanged(self, storage: Storage) -> None:
        for number, value in enumerate(VALUES):
            await storage.put(TABLE, "t", f"r{number}", value)

        for number, value in enumerate(VALUES):
            assert repr(await _value(storage, f"r{number}")) == repr(value)

    async def test_stored_value_is_a_copy(self, storage: Storage) -> None:
        given: dict[str, Any] = {"list": [1]}
        await storage.put(TABLE, "t", "r", given)
        given["list"].append(2)
        assert await _value(storage, "r") == {"list": [1]}

        (await _value(storage, "r"))["list"].append(3)

        assert await _value(storage, "r") == {"list": [1]}

    async def test_value_of_one_mebibyte_is_kept(self, storage: Storage) -> None:
        value = {"text": "x" * MEBIBYTE, "name": "large"}
        await storage.put(TABLE, "t", "r", value)

        assert await _value(storage, "r") == value

    async def test_value_above_the_limit_is_refused(self, storage: Storage) -> None:
        await storage.put(TABLE, "t", "r", {"rank": 1})
        with pytest.raises(ValueTooLarge):
            await storage.put(TABLE, "t", "r", {"text": "x" * storage.max_value_bytes})

        assert await _value(storage, "r") == {"rank": 1}

    async def test_too_deep_or_no_json_is_refused_or_readable(self, storage: Storage) -> None:
        deep: Any = 1
        for _ in range(5000):
            deep = [deep]
        for number, value in enumerate(({"deep": deep}, {"number": float("nan")}, {"what": object()}, ["no", "object"])):
            with pytest.raises(InvalidInput):
                await storage.put(TABLE, "t", f"r{number}", value)  # type: ignore[arg-type]  # that is the point

        assert (await storage.query(TABLE, "t")).records == ()

    async def test_field_of_another_type_than_its_index_is_refused(self, storage: Storage) -> None:
        for value in (
            {"name": 1},
            {"rank": "1"},
            {"rank": True},
            {"rank": 2**63},
            {"score": "1"},
            {"done": 1},
            {"name": ["a"]},
        ):
            with pytest.raises(InvalidInput):
                await storage.put(TABLE, "t", "r", value)

        assert await storage.get(TABLE, "t", "r") is None
        assert await storage.put(TABLE, "t", "r", {"name": None, "rank": -(2**63), "score": 1, "done": False}) == 1

    async def test_hostile_text_is_data(self, storage: Storage) -> None:
        for text in HOSTILE:
            await storage.put(TABLE, text, text, {"name": text, text: text})

        for text in HOSTILE:
            found = await storage.query(
                TABLE, text, where=And((Eq("name", text), In("name", (text, "x")), Range("name", ge=text, le=text)))
            )
            assert [(record.id, dict(record.value)) for record in found.records] == [(text, {"name": text, text: text})]
            assert await storage.delete(TABLE, text, text) is True

    async def test_names_that_are_none_are_refused(self, storage: Storage) -> None:
        for name in ("", "x" * 201, "a\x00b", "a\nb", "\x7f", "\ud800"):
            with pytest.raises(InvalidInput):
                await storage.put(TABLE, "t", name, {})
            with pytest.raises(InvalidInput):
                await storage.get(TABLE, name, "r")
            with pytest.raises(InvalidInput):
                await storage.append("t", name, ["1"])

        assert await storage.put(TABLE, "t" * 200, "🦣" * 200, {}) == 1

    async def test_hostile_identifiers_are_refused(self, storage: Storage) -> None:
        await storage.put(TABLE, "t", "r", {"name": "a"})
        for text in (*HOSTILE, "x" * 41):
            if text.isalnum() and text.isascii():
                continue
            for table in (Table(text), Table("kit_hostile", ((text, "text"),))):
                if not (text == "_" or (text.isascii() and text.isidentifier() and len(text) <= 40)):
                    with pytest.raises(InvalidInput):
                        await storage.put(table, "t", "r", {})
            with pytest.raises(Unsupported):
                await storage.query(TABLE, "t", where=Eq(text, "a"))
            with pytest.raises(Unsupported):
                await storage.query(TABLE, "t", order=Order(text))

        assert await _value(storage, "r") == {"name": "a"}

    async def test_undeclared_index_is_unsupported(self, storage: Storage) -> None:
        await storage.put(TABLE, "t", "r", {"color": "red"})
        for where in (
            Eq("color", "red"),
            In("color", ("red",)),
            Range("color", ge="a"),
            And((Eq("name", None), Eq("color", "red"))),
        ):
            with pytest.raises(Unsupported):
                await storage.query(TABLE, "t", where=where)
        with pytest.raises(Unsupported):
            await storage.query(TABLE, "t", order=Order("color"))

    async def test_tenants_never_mix(self, storage: Storage) -> None:
        for tenant in ("a", "b"):
            await storage.put(TABLE, tenant, "same", {"name": tenant})
            await storage.append(tenant, "same", [f'"{tenant}"'])
        where: Filter = Eq("name", "b")
        for _ in range(50):
            where = And((where, And(())))

        assert (await storage.query(TABLE, "a", where=where)).records == ()
        assert [dict(record.value) for record in (await storage.query(TABLE, "a", order=Order("name"))).records] == [
            {"name": "a"}
        ]
        assert [entry.data for entry in await storage.read("b", "same")] == ['"b"']
        await storage.delete(TABLE, "a", "same")
        await storage.drop("a", "same")
        assert await storage.get(TABLE, "a", "same") is None
        assert await storage.get(TABLE, "b", "same") is not None
        assert await storage.last_seq("b", "same") == 1

    async def test_order_puts_absent_values_first_and_ties_by_id(self, storage: Storage) -> None:
        ranks = {"d": 1, "c": 2, "b": 1, "a": None, "e": None, "B": 1}
        for id, rank in ranks.items():
            await storage.put(TABLE, "t", id, {"rank": rank} if rank is not None else {})

        assert await _ids(storage) == ["B", "a", "b", "c", "d", "e"]
        assert await _ids(storage, order=Order("rank")) == ["a", "e", "B", "b", "d", "c"]
        assert await _ids(storage, order=Order("rank", descending=True)) == ["c", "B", "b", "d", "a", "e"]

    async def test_text_sorts_by_code_point(self, storage: Storage) -> None:
        texts = [
            "",
            "\x00",
            "\x01",
            "A",
            "Z",
            "a",
            "z",
            "é",
            "\ud7ff",
            "\ud800",
            "\udfff",
            "\ue000",
            "ﬁ",
            "🦣",
            "\ud7ff\x00",
            "\x00\x01",
        ]
        for number, text in enumerate(texts):
            await storage.put(TABLE, "t", f"r{number}", {"name": text})

        page = await storage.query(TABLE, "t", order=Order("name"))
        assert [record.value["name"] for record in page.records] == sorted(texts)
        for text in texts:
            found = await storage.query(TABLE, "t", where=Range("name", gt=text), limit=1000)
            assert sorted(record.value["name"] for record in found.records) == sorted(other for other in texts if other > text)

    async def test_times_as_text_sort_across_offsets_once_in_utc(self, storage: Storage) -> None:
        moments = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(hours=hour) for hour in (3, -13, 0, 25)]
        for number, moment in enumerate(moments):
            await storage.put(TABLE, "t", f"r{number}", {"name": moment.astimezone(UTC).isoformat()})

        assert await _ids(storage, order=Order("name")) == ["r1", "r2", "r0", "r3"]
        assert await _ids(storage, where=Range("name", gt=moments[2].isoformat())) == ["r0", "r3"]

    async def test_pages_give_everything_once(self, storage: Storage) -> None:
        for number in range(23):
            await storage.put(TABLE, "t", f"r{number:02}", {"rank": number % 4} if number % 5 else {})
        for order in (None, Order("rank"), Order("rank", descending=True)):
            everything = await _ids(storage, order=order)
            for limit in (1, 7, 22, 23, 24):
                assert await _paged_ids(storage, order=order, limit=limit) == everything
        assert len(await _ids(storage)) == 23

    async def test_cursor_is_stable_under_inserts_and_deletes(self, storage: Storage) -> None:
        for order in (None, Order("rank"), Order("rank", descending=True)):
            tenant = f"t{order}"
            for number in range(10, 30):
                await storage.put(TABLE, tenant, f"r{number}", {"rank": number // 2})
            first = await storage.query(TABLE, tenant, order=order, limit=8)
            seen = [record.id for record in first.records]
            for gone in (seen[0], seen[-1]):
                await storage.delete(TABLE, tenant, gone)
            for number in (0, 99):
                await storage.put(TABLE, tenant, f"q{number:02}", {"rank": number})

            rest = await storage.query(TABLE, tenant, order=order, limit=1000, cursor=first.cursor)

            stayed = [record.id for record in rest.records if record.id.startswith("r")]
            assert sorted(seen + stayed) == [f"r{number}" for number in range(10, 30)]

    async def test_foreign_cursor_is_refused(self, storage: Storage) -> None:
        for number in range(3):
            await storage.put(TABLE, "t", f"r{number}", {"rank": number})
        cursor = (await storage.query(TABLE, "t", order=Order("rank"), limit=1)).cursor
        assert cursor is not None
        assert [
            record.id for record in (await storage.query(TABLE, "t", order=Order("rank"), limit=1, cursor=cursor)).records
        ] == ["r1"]

        for bad in ("", "nonsense", cursor[:-3], cursor + "AAAA", "é", *HOSTILE):
            with pytest.raises(InvalidInput):
                await storage.query(TABLE, "t", order=Order("rank"), cursor=bad)
        with pytest.raises(InvalidInput):
            await storage.query(TABLE, "t", order=Order("score"), cursor=cursor)
        with pytest.raises(InvalidInput):
            await storage.query(TABLE, "t", where=Eq("rank", 1), order=Order("rank"), cursor=cursor)
        with pytest.raises(InvalidInput):
            await storage.query(TABLE, "u", order=Order("rank"), cursor=cursor)

    async def test_limit_out_of_bounds_is_refused(self, storage: Storage) -> None:
        for limit in (0, -1, 1001):
            with pytest.raises(InvalidInput):
                await storage.query(TABLE, "t", limit=limit)
        assert (await storage.query(TABLE, "t", limit=1000)).records == ()

    async def test_index_added_later_finds_older_records(self, storage: Storage) -> None:
        older = Table("kit_growing", (("name", "text"),))
        newer = Table("kit_growing", (("rank", "integer"), ("name", "text")))
        await storage.put(older, "t", "old", {"name": "a", "rank": 1})
        assert [record.id for record in (await storage.query(newer, "t", where=Eq("rank", 1))).records] == ["old"]

        await storage.put(older, "t", "written by an older program", {"name": "b", "rank": 2})

        found = await storage.query(newer, "t", where=Range("rank", ge=1), order=Order("rank"))
        assert [record.id for record in found.records] == ["old", "written by an older program"]

    async def test_type_of_an_index_never_changes(self, storage: Storage) -> None:
        await storage.put(Table("kit_typed", (("field", "text"),)), "t", "r", {"field": "1"})
        with pytest.raises(InvalidInput):
            await storage.query(Table("kit_typed", (("field", "integer"),)), "t", where=Eq("field", 1))

    async def test_value_of_another_type_never_matches(self, storage: Storage) -> None:
        await storage.put(TABLE, "t", "r", {"name": "1", "rank": 1, "score": 1.0, "done": True})
        found = (
            Eq("rank", 1.0),
            Eq("score", 1),
            In("rank", (True, 1)),
            Range("rank", ge=0.5, lt=1.5),
            Range("score", ge=1, le=1),
        )
        missed = (Eq("rank", True), Eq("rank", "1"), Eq("name", 1), Eq("done", 1), In("score", (True, "1.0")))
        ranges = (
            Range("rank", ge=True),
            Range("rank", ge="0"),
            Range("name", ge=0),
            Range("done", ge=0),
            Range("done", ge=False),
        )

        for where in found:
            assert await _ids(storage, where=where) == ["r"], where
        for where in (*missed, *ranges):
            assert await _ids(storage, where=where) == [], where
        for nonsense in (Eq("score", float("nan")), Range("score", ge=float("nan")), In("name", cast("Any", ({},)))):
            with pytest.raises(InvalidInput):
                await storage.query(TABLE, "t", where=nonsense)

    async def test_query_agrees_with_the_reference(self, storage: Storage) -> None:
        """Property: whatever the records and the filter, the result is what `ergaster.filters.matches` says."""
        await anyio.to_thread.run_sync(_check_queries, storage)

    async def test_concurrent_puts_lose_nothing(self, storage: Storage) -> None:
        async def increment() -> None:
            while True:
                record = await storage.get(TABLE, "t", "counter")
                version, rank = (record.version, record.value["rank"]) if record is not None else (0, 0)
                try:
                    await storage.put(TABLE, "t", "counter", {"rank": rank + 1}, if_version=version)
                except StorageConflict:
                    continue
                return

        await asyncio.gather(*(increment() for _ in range(20)))

        record = await storage.get(TABLE, "t", "counter")
        assert record is not None
        assert (record.version, record.value["rank"]) == (20, 20)


async def _value(storage: Storage, id: str) -> dict[str, Any]:
    record = await storage.get(TABLE, "t", id)
    assert record is not None
    return dict(record.value)


async def _ids(storage: Storage, *, where: Filter | None = None, order: Order | None = None) -> list[str]:
    return [record.id for record in (await storage.query(TABLE, "t", where=where, order=order, limit=1000)).records]


async def _paged_ids(storage: Storage, *, order: Order | None, limit: int) -> list[str]:
    page = await storage.query(TABLE, "t", order=order, limit=limit)
    ids = [record.id for record in page.records]
    while page.cursor is not None:
        page = await storage.query(TABLE, "t", order=order, limit=limit, cursor=page.cursor)
        assert page.records, "a cursor led to an empty page"
        ids += [record.id for record in page.records]
    return ids


def _check_queries(storage: Storage) -> None:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    texts = st.sampled_from(["", "a", "A", "ab", "é", "\x00", "\ud800"])
    whole = st.sampled_from([0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)])
    numbers = st.sampled_from([0, 1, -1, 0.5, -0.0, 2**53, 1e300])
    odd = st.sampled_from([True, "1", 2**63, -(2**70), 10**400, 0.5, float("inf"), -float("inf")])
    kinds: dict[str, Any] = {"name": texts, "rank": whole, "score": numbers, "done": st.booleans()}

    def conditions(name: str) -> Any:
        value = kinds[name] | kinds[name] | odd
        bound = st.none() | kinds[name] | odd
        return (
            st.builds(Eq, st.just(name), st.none() | value)
            | st.builds(In, st.just(name), st.lists(value, max_size=3).map(tuple))
            | st.builds(Range, st.just(name), ge=bound)
            | st.builds(Range, st.just(name), gt=bound, le=bound)
            | st.builds(Range, st.just(name), ge=bound, lt=bound)
        )

    fields = st.sampled_from(sorted(kinds))
    simple = fields.flatmap(conditions)
    filters = (
        simple
        | simple
        | st.lists(simple | st.lists(simple, max_size=2).map(lambda each: And(tuple(each))), max_size=3).map(
            lambda each: And(tuple(each))
        )
    )
    values = st.fixed_dictionaries(
        {}, optional={name: st.none() | kind for name, kind in kinds.items()} | {"other": st.integers()}
    )
    orders = st.none() | st.builds(Order, fields, st.booleans())
    tenants = iter(range(10_000))

    @settings(
        max_examples=50,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),  # shrinking would run hundreds of queries; the message names the filter and the records
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(values, min_size=4, max_size=12), st.lists(filters, min_size=10, max_size=14), orders)
    def check(records: list[dict[str, Any]], wheres: list[Filter], order: Order | None) -> None:
        anyio.from_thread.run(_compare, storage, f"t{next(tenants)}", records, wheres, order)

    check()


async def _compare(
    storage: Storage, tenant: str, values: Sequence[dict[str, Any]], wheres: Sequence[Filter], order: Order | None
) -> None:
    for number, value in enumerate(values):
        await storage.put(TABLE, tenant, f"r{number:02}", value)
    for where in wheres:
        page = await storage.query(TABLE, tenant, where=where, order=order)
        expected = [
            Record(f"r{number:02}", value, 1, datetime.now(UTC)) for number, value in enumerate(values) if matches(where, value)
        ]
        if order is not None:
            expected.sort(key=lambda record: _sort_key(record.value.get(order.field)), reverse=order.descending)
        found = [(record.id, dict(record.value)) for record in page.records]
        assert found == [(record.id, dict(record.value)) for record in expected], f"{where} by {order} of {values}"


def _sort_key(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)
