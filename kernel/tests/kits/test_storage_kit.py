"""The storage kit passes a good storage (see the memory plugin) and catches each broken one."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

import attrs
import pytest

from ergaster.contracts.storage import Entry, Page, Record, Table
from ergaster.errors import InvalidInput, StorageConflict, Unsupported, ValueTooLarge
from ergaster.filters import Eq, Range, matches
from ergaster.testing import StorageContract
from ergaster_memory import MemoryStorage


class VersionStaysOne(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        await super().put(table, tenant, id, value, if_version=if_version)
        return 1


class NaiveTimes(MemoryStorage):
    async def get(self, table, tenant, id):
        record = await super().get(table, tenant, id)
        return record and attrs.evolve(record, updated_at=record.updated_at.replace(tzinfo=None))


class UnknownIsEmpty(MemoryStorage):
    async def get(self, table, tenant, id):
        return await super().get(table, tenant, id) or Record(id, {}, 0, datetime.now().astimezone())


class ZeroOverwrites(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        return await super().put(table, tenant, id, value, if_version=if_version or None)


class ConflictWritesAnyway(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        try:
            return await super().put(table, tenant, id, value, if_version=if_version)
        except StorageConflict:
            await super().put(table, tenant, id, value)
            raise


class DeleteAlwaysSaysYes(MemoryStorage):
    async def delete(self, table, tenant, id, *, if_version=None):
        await super().delete(table, tenant, id, if_version=if_version)
        return True


class DeleteIgnoresVersion(MemoryStorage):
    async def delete(self, table, tenant, id, *, if_version=None):
        return await super().delete(table, tenant, id)


class ValuesAreTruncatedAtNul(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        cut = {key: text.partition("\0")[0] if isinstance(text, str) else text for key, text in value.items()}
        return await super().put(table, tenant, id, cut, if_version=if_version)


class KeepsTheObject(MemoryStorage):
    _objects: ClassVar[dict[str, Any]] = {}

    async def put(self, table, tenant, id, value, *, if_version=None):
        version = await super().put(table, tenant, id, value, if_version=if_version)
        self._objects[id] = value
        return version

    async def get(self, table, tenant, id):
        record = await super().get(table, tenant, id)
        return record and attrs.evolve(record, value=self._objects[id])


class CutsLargeValues(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        small = {key: text[:65535] if isinstance(text, str) else text for key, text in value.items()}
        return await super().put(table, tenant, id, small, if_version=if_version)


class Unlimited(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        try:
            return await super().put(table, tenant, id, value, if_version=if_version)
        except ValueTooLarge:
            return await super().put(table, tenant, id, {}, if_version=if_version)


class WritesWhatIsNoJson(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        try:
            return await super().put(table, tenant, id, value, if_version=if_version)
        except InvalidInput:
            return await super().put(table, tenant, id, {"repr": repr(type(value))}, if_version=if_version)


class DropsFieldsOfOtherTypes(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        try:
            return await super().put(table, tenant, id, value, if_version=if_version)
        except InvalidInput:
            return await super().put(table, tenant, id, {})


class UnescapedWildcards(MemoryStorage):
    async def query(self, table, tenant, *, where=None, **options):
        page = await super().query(table, tenant, where=where, **options)
        return Page(()) if tenant == "%" else page


class AcceptsAnyName(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        return await super().put(table, tenant, id.strip("\x00\n\x7f\ud800")[:200] or "-", value, if_version=if_version)


class AcceptsAnyIdentifier(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        with suppress(InvalidInput):
            return await super().put(table, tenant, id, value, if_version=if_version)
        return await super().put(Table("other"), tenant, id, value, if_version=if_version)


class WidensTheSearch(MemoryStorage):
    async def query(self, table, tenant, **options):
        try:
            return await super().query(table, tenant, **options)
        except Unsupported:
            return await super().query(table, tenant)


class OneTenantForAll(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        return await super().put(table, "all", id, value, if_version=if_version)

    async def query(self, table, tenant, **options):
        return await super().query(table, "all", **options)


class TiesInReverse(MemoryStorage):
    async def query(self, table, tenant, *, order=None, **options):
        page = await super().query(table, tenant, order=order, **options)
        if order is None or not order.descending:
            return page
        ordered = sorted(page.records, key=lambda record: record.id, reverse=True)
        return attrs.evolve(page, records=tuple(sorted(ordered, key=lambda record: -(record.value.get("rank") or 0))))


class CaseInsensitiveOrder(MemoryStorage):
    async def query(self, table, tenant, **options):
        page = await super().query(table, tenant, **options)
        return attrs.evolve(page, records=tuple(sorted(page.records, key=lambda record: str(record.value.get("name")).lower())))


class IgnoresTheFilter(MemoryStorage):
    async def query(self, table, tenant, *, where=None, **options):
        return await super().query(table, tenant, **options)


class CursorRepeatsTheLast(MemoryStorage):
    async def query(self, table, tenant, *, limit=100, cursor=None, **options):
        skip = int(cursor or 0)
        everything = await super().query(table, tenant, limit=1000, **options)
        found = everything.records[max(skip - 1, 0) :][:limit]
        return Page(found, str(skip + limit) if len(everything.records) > skip + limit else None)


class CursorIsAnOffset(MemoryStorage):
    async def query(self, table, tenant, *, limit=100, cursor=None, **options):
        skip = int(cursor or 0)
        everything = await super().query(table, tenant, limit=1000, **options)
        rest = everything.records[skip:]
        return Page(rest[:limit], str(skip + limit) if len(rest) > limit else None)


class AnyCursorBeginsAnew(MemoryStorage):
    async def query(self, table, tenant, *, cursor=None, **options):
        try:
            return await super().query(table, tenant, cursor=cursor, **options)
        except InvalidInput:
            return await super().query(table, tenant, **options)


class ClampsTheLimit(MemoryStorage):
    async def query(self, table, tenant, *, limit=100, **options):
        return await super().query(table, tenant, limit=min(max(limit, 1), 1000), **options)


class IndexesNewRecordsOnly(MemoryStorage):
    async def query(self, table, tenant, **options):
        page = await super().query(table, tenant, **options)
        return attrs.evolve(page, records=tuple(record for record in page.records if record.id != "old"))


class ForgetsTypes(MemoryStorage):
    async def query(self, table, tenant, **options):
        with suppress(InvalidInput):
            return await super().query(table, tenant, **options)
        return Page(())


class BoolsAreNumbers(MemoryStorage):
    async def query(self, table, tenant, *, where=None, order=None, **options):
        page = await super().query(table, tenant, order=order)
        loose = tuple(record for record in page.records if _loosely(where, dict(record.value)))
        return Page(loose)


def _loosely(where, value):
    if isinstance(where, Eq):
        return value.get(where.field) == where.value
    return matches(where, value)


class ReadsBeforeItWrites(MemoryStorage):
    async def put(self, table, tenant, id, value, *, if_version=None):
        record = await self.get(table, tenant, id)
        if if_version is not None and if_version != (record.version if record else 0):
            raise StorageConflict("lost", expected=if_version, actual=0)
        await asyncio.sleep(0)
        return await super().put(table, tenant, id, value)


class CountsFromZero(MemoryStorage):
    async def read(self, tenant, stream, **options):
        return [Entry(entry.seq - 1, entry.data) for entry in await super().read(tenant, stream, **options)]


class EmptyAppendIgnoresExpectation(MemoryStorage):
    async def append(self, tenant, stream, data, *, expected_seq=None):
        return await super().append(tenant, stream, data, expected_seq=expected_seq if data else None)


class ConflictHidesTheEnd(MemoryStorage):
    async def append(self, tenant, stream, data, *, expected_seq=None):
        try:
            return await super().append(tenant, stream, data, expected_seq=expected_seq)
        except StorageConflict:
            raise StorageConflict("somewhere else", expected=expected_seq) from None


class AppendsOneByOne(MemoryStorage):
    async def append(self, tenant, stream, data, *, expected_seq=None):
        last = await super().append(tenant, stream, [], expected_seq=expected_seq)
        for entry in [data] if isinstance(data, str) else data:
            last = await super().append(tenant, stream, [entry])
            await asyncio.sleep(0)
        return last


class ReformatsEntries(MemoryStorage):
    async def append(self, tenant, stream, data, *, expected_seq=None):
        return await super().append(tenant, stream, [json.dumps(json.loads(each)) for each in data], expected_seq=expected_seq)


class AfterIsInclusive(MemoryStorage):
    async def read(self, tenant, stream, *, after=0, **options):
        return await super().read(tenant, stream, after=max(after - 1, 0), **options)


class UnknownStreamIsAnError(MemoryStorage):
    async def read(self, tenant, stream, **options):
        if not await self.last_seq(tenant, stream):
            raise InvalidInput("unknown stream")
        return await super().read(tenant, stream, **options)


class DropTakesThePrefix(MemoryStorage):
    async def drop(self, tenant, stream):
        await super().drop(tenant, stream)
        await super().drop(tenant, stream + "2")


class FoldsStreamNames(MemoryStorage):
    async def append(self, tenant, stream, data, *, expected_seq=None):
        return await super().append(tenant, _fold(stream), data, expected_seq=expected_seq)

    async def read(self, tenant, stream, **options):
        return await super().read(tenant, _fold(stream), **options)


def _fold(stream):
    return "percent" if stream in {"%", "_"} else stream


class TailGivesWhatIsThere(MemoryStorage):
    async def tail(self, tenant, stream, *, after=0) -> AsyncIterator[Entry]:
        for entry in await self.read(tenant, stream, after=after):
            yield entry


class TailStopsAtAPage(MemoryStorage):
    async def tail(self, tenant, stream, *, after=0) -> AsyncIterator[Entry]:
        for entry in await self.read(tenant, stream, after=after):
            yield entry
        async for entry in super().tail(tenant, stream, after=await self.last_seq(tenant, stream)):
            yield entry


class TailSwallowsCancellation(MemoryStorage):
    async def tail(self, tenant, stream, *, after=0) -> AsyncIterator[Entry]:
        with suppress(asyncio.CancelledError):
            async for entry in super().tail(tenant, stream, after=after):
                yield entry
        yield Entry(0, "")


class RacingAppend(MemoryStorage):
    async def append(self, tenant, stream, data, *, expected_seq=None):
        last = await self.last_seq(tenant, stream)
        if expected_seq is not None and expected_seq != last:
            raise StorageConflict("lost", expected=expected_seq, actual=last)
        await asyncio.sleep(0)
        await super().append(tenant, stream, data)
        return last + len(data)


class OneConflictFailsAll(MemoryStorage):
    _failing: ClassVar[bool] = False

    async def append(self, tenant, stream, data, *, expected_seq=None):
        if expected_seq:
            type(self)._failing = True
        await asyncio.sleep(0)
        if self._failing:
            raise StorageConflict("a neighbour failed", expected=expected_seq, actual=0)
        return await super().append(tenant, stream, data, expected_seq=expected_seq)


class ClosesForGood(MemoryStorage):
    _closed: bool = False

    async def close(self):
        if self._closed:
            raise RuntimeError("closed twice")
        self._closed = True


class CloseDropsPending(MemoryStorage):
    _writes: ClassVar[list[asyncio.Task[Any]]] = []

    async def append(self, tenant, stream, data, *, expected_seq=None):
        task = asyncio.current_task()
        assert task is not None
        self._writes.append(task)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await super().append(tenant, stream, data, expected_seq=expected_seq)

    async def close(self):
        for write in self._writes:
            if write is not asyncio.current_task():
                write.cancel()


class ForgetsOnClose(MemoryStorage):
    async def close(self):
        await super().drop("t", "s")


class PrivateToItself(MemoryStorage):
    def __init__(self, place: str) -> None:
        super().__init__("")


class BoundToItsLoop(MemoryStorage):
    _loop: Any = None

    async def append(self, tenant, stream, data, *, expected_seq=None):
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise RuntimeError("attached to a different loop")
        return await super().append(tenant, stream, data, expected_seq=expected_seq)


class WakesItsLoopOnly(MemoryStorage):
    async def tail(self, tenant, stream, *, after=0) -> AsyncIterator[Entry]:
        if not await self.last_seq(tenant, stream):
            await asyncio.get_running_loop().create_future()
        yield Entry(0, "")


class BlocksTheLoop(MemoryStorage):
    async def query(self, table, tenant, **options):
        time.sleep(0.6)
        return await super().query(table, tenant, **options)


class InclusiveBounds(MemoryStorage):
    async def query(self, table, tenant, *, where=None, **options):
        if isinstance(where, Range) and where.gt is not None:
            where = attrs.evolve(where, gt=None, ge=where.gt)
        return await super().query(table, tenant, where=where, **options)


MUTANTS = {
    "test_put_counts_versions": (VersionStaysOne, NaiveTimes),
    "test_unknown_record_is_none": (UnknownIsEmpty,),
    "test_if_version_zero_creates_only": (ZeroOverwrites,),
    "test_if_version_replaces_that_version_only": (ConflictWritesAnyway,),
    "test_delete_says_whether_the_record_was_there": (DeleteAlwaysSaysYes,),
    "test_delete_of_another_version_conflicts": (DeleteIgnoresVersion,),
    "test_values_come_back_unchanged": (ValuesAreTruncatedAtNul,),
    "test_stored_value_is_a_copy": (KeepsTheObject,),
    "test_value_of_one_mebibyte_is_kept": (CutsLargeValues,),
    "test_value_above_the_limit_is_refused": (Unlimited,),
    "test_too_deep_or_no_json_is_refused_or_readable": (WritesWhatIsNoJson,),
    "test_field_of_another_type_than_its_index_is_refused": (DropsFieldsOfOtherTypes,),
    "test_hostile_text_is_data": (UnescapedWildcards,),
    "test_names_that_are_none_are_refused": (AcceptsAnyName,),
    "test_hostile_identifiers_are_refused": (AcceptsAnyIdentifier, WidensTheSearch),
    "test_undeclared_index_is_unsupported": (WidensTheSearch,),
    "test_tenants_never_mix": (OneTenantForAll, IgnoresTheFilter),
    "test_order_puts_absent_values_first_and_ties_by_id": (TiesInReverse,),
    "test_text_sorts_by_code_point": (CaseInsensitiveOrder,),
    "test_times_as_text_sort_across_offsets_once_in_utc": (IgnoresTheFilter,),
    "test_pages_give_everything_once": (CursorRepeatsTheLast,),
    "test_cursor_is_stable_under_inserts_and_deletes": (CursorIsAnOffset,),
    "test_foreign_cursor_is_refused": (AnyCursorBeginsAnew,),
    "test_limit_out_of_bounds_is_refused": (ClampsTheLimit,),
    "test_index_added_later_finds_older_records": (IndexesNewRecordsOnly,),
    "test_type_of_an_index_never_changes": (ForgetsTypes,),
    "test_query_agrees_with_the_reference": (InclusiveBounds,),
    "test_value_of_another_type_never_matches": (BoolsAreNumbers,),
    "test_concurrent_puts_lose_nothing": (ReadsBeforeItWrites,),
    "test_append_numbers_entries_without_a_gap": (CountsFromZero,),
    "test_empty_append_changes_nothing": (EmptyAppendIgnoresExpectation,),
    "test_append_elsewhere_than_at_the_end_conflicts": (ConflictHidesTheEnd,),
    "test_refused_append_writes_none_of_its_entries": (AppendsOneByOne,),
    "test_entries_come_back_unchanged": (ReformatsEntries,),
    "test_read_respects_its_bounds_in_both_directions": (AfterIsInclusive,),
    "test_unknown_stream_is_empty": (UnknownStreamIsAnError,),
    "test_dropped_stream_begins_anew": (DropTakesThePrefix,),
    "test_hostile_stream_names_are_names": (FoldsStreamNames,),
    "test_tail_gives_what_is_there_and_what_comes": (TailGivesWhatIsThere,),
    "test_tail_of_a_long_stream_skips_nothing": (TailStopsAtAPage,),
    "test_concurrent_appends_lose_and_double_nothing": (RacingAppend, AppendsOneByOne),
    "test_one_of_many_expecting_writers_wins": (RacingAppend,),
    "test_conflict_of_one_writer_fails_no_other": (OneConflictFailsAll,),
    "test_cancelled_write_is_whole_or_absent": (AppendsOneByOne,),
    "test_cancelled_call_raises_cancelled": (TailSwallowsCancellation,),
    "test_calls_open_by_themselves_and_close_may_be_repeated": (ClosesForGood,),
    "test_close_finishes_pending_writes": (CloseDropsPending,),
    "test_reopened_place_has_kept_everything": (ForgetsOnClose, PrivateToItself),
    "test_tail_sees_what_another_handle_writes": (PrivateToItself,),
    "test_two_event_loops_use_it_at_once": (BoundToItsLoop,),
    "test_tail_is_woken_from_another_event_loop": (WakesItsLoopOnly,),
    "test_event_loop_never_stalls": (BlocksTheLoop,),
    "test_several_processes_lose_and_double_nothing": (MemoryStorage,),
}
"""For each test of the kit the broken storages that it must catch; memory is broken where processes shall share it."""

CASES = [(test, mutant) for test, mutants in MUTANTS.items() for mutant in mutants]
KIT_TESTS = sorted(name for name in dir(StorageContract) if name.startswith("test_"))


class Kit(StorageContract):
    opener = "ergaster_memory:MemoryStorage"
    is_shared_by_processes = True

    def __init__(self, mutant: type[MemoryStorage] = MemoryStorage) -> None:
        self.mutant = mutant

    def make(self, place):
        return self.mutant(place)


Kit.__test__ = False  # type: ignore[attr-defined]  # pytest collects the kit only where a plugin subclasses it


async def run(test: str, mutant: type[MemoryStorage]) -> None:
    """Run one test of the kit on a storage as pytest would."""
    kit, place = Kit(mutant), uuid4().hex
    function = getattr(kit, test)
    given: dict[str, Any] = {"storage": kit.make(place), "place": place}
    await function(**{name: given[name] for name in inspect.signature(function).parameters})


@pytest.mark.parametrize(("test", "mutant"), CASES, ids=[f"{test}-{mutant.__name__}" for test, mutant in CASES])
async def test_kit_catches_the_broken_storage(test, mutant):
    with pytest.raises((Exception, asyncio.CancelledError, pytest.fail.Exception)):
        await asyncio.wait_for(run(test, mutant), 40)


def test_every_test_of_the_kit_has_a_mutant():
    assert sorted(MUTANTS) == KIT_TESTS


@pytest.mark.parametrize("test", [name for name in KIT_TESTS if "processes" not in name])
async def test_good_storage_passes(test):
    await run(test, MemoryStorage)
