"""The storage kit's cases on streams."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from ergaster.contracts.storage import Entry, Storage
from ergaster.errors import InvalidInput, StorageConflict, ValueTooLarge
from ergaster.testing.storage.records import HOSTILE, MEBIBYTE

__all__ = ["StreamCases", "take"]


class StreamCases:
    """What every storage does with streams."""

    async def test_append_numbers_entries_without_a_gap(self, storage: Storage) -> None:
        lasts = [
            await storage.append("t", "s", ["1"]),
            await storage.append("t", "s", ["2", "3"]),
            await storage.append("t", "s", ["4"]),
        ]

        assert lasts == [1, 3, 4]
        assert await storage.last_seq("t", "s") == 4
        assert list(await storage.read("t", "s")) == [Entry(seq, str(seq)) for seq in (1, 2, 3, 4)]

    async def test_empty_append_changes_nothing(self, storage: Storage) -> None:
        assert await storage.append("t", "s", []) == 0
        await storage.append("t", "s", ["1"])

        assert await storage.append("t", "s", [], expected_seq=1) == 1
        with pytest.raises(StorageConflict):
            await storage.append("t", "s", [], expected_seq=0)
        assert await storage.last_seq("t", "s") == 1

    async def test_append_elsewhere_than_at_the_end_conflicts(self, storage: Storage) -> None:
        assert await storage.append("t", "s", ["1", "2"], expected_seq=0) == 2
        for stale in (0, 1, 3):
            with pytest.raises(StorageConflict) as caught:
                await storage.append("t", "s", ["9"], expected_seq=stale)
            assert (caught.value.expected, caught.value.actual) == (stale, 2)

        assert await storage.last_seq("t", "s") == 2
        assert await storage.append("t", "s", ["3"], expected_seq=2) == 3

    async def test_refused_append_writes_none_of_its_entries(self, storage: Storage) -> None:
        await storage.append("t", "s", ["1"])
        for bad in ("a\x00b", '"é"', "", 7):
            with pytest.raises(InvalidInput):
                await storage.append("t", "s", ["2", cast("str", bad)])
        with pytest.raises(InvalidInput):
            await storage.append("t", "s", "123")
        with pytest.raises(ValueTooLarge):
            await storage.append("t", "s", ["2", "3" * (storage.max_value_bytes + 1)])

        assert list(await storage.read("t", "s")) == [Entry(1, "1")]

    async def test_entries_come_back_unchanged(self, storage: Storage) -> None:
        entries = ['"\\u0000\\ud800"', "{}", " 1 ", '"' + "x" * MEBIBYTE + '"', '{"a": "\x7f"}']
        await storage.append("t", "s", entries)

        assert [entry.data for entry in await storage.read("t", "s")] == entries

    async def test_read_respects_its_bounds_in_both_directions(self, storage: Storage) -> None:
        await storage.append("t", "s", [str(seq) for seq in range(1, 8)])
        bounds = itertools.product((0, 3, 7, 9, 2**70), (None, 0, 1, 4, 8, 2**70), (1, 3, 1000), (False, True))
        for after, before, limit, newest_first in bounds:
            numbers = [seq for seq in range(1, 8) if seq > after and (before is None or seq < before)]
            expected = (numbers[::-1] if newest_first else numbers)[:limit]

            found = await storage.read("t", "s", after=after, before=before, limit=limit, newest_first=newest_first)

            assert [entry.seq for entry in found] == expected, (after, before, limit, newest_first)
        with pytest.raises(InvalidInput):
            await storage.read("t", "s", limit=0)

    async def test_unknown_stream_is_empty(self, storage: Storage) -> None:
        assert list(await storage.read("t", "s")) == []
        assert await storage.last_seq("t", "s") == 0
        await storage.drop("t", "s")

    async def test_dropped_stream_begins_anew(self, storage: Storage) -> None:
        for stream in ("s", "S", "s2"):
            await storage.append("t", stream, ["1", "2"])

        await storage.drop("t", "s")

        assert list(await storage.read("t", "s")) == []
        assert await storage.append("t", "s", ["9"], expected_seq=0) == 1
        assert list(await storage.read("t", "s")) == [Entry(1, "9")]
        assert [await storage.last_seq("t", stream) for stream in ("S", "s2")] == [2, 2]

    async def test_hostile_stream_names_are_names(self, storage: Storage) -> None:
        for number, text in enumerate(HOSTILE):
            await storage.append("t", text, [str(number)])
            await storage.append(text, "s", [str(number)])

        for number, text in enumerate(HOSTILE):
            assert [entry.data for entry in await storage.read("t", text)] == [str(number)]
            assert [entry.data for entry in await storage.read(text, "s")] == [str(number)]

    async def test_tail_gives_what_is_there_and_what_comes(self, storage: Storage) -> None:
        await storage.append("t", "s", ["1", "2", "3"])
        async with aclosing(_generator(storage.tail("t", "s", after=1))) as tail:
            assert await take(tail, 2) == [Entry(2, "2"), Entry(3, "3")]
            waiting = asyncio.ensure_future(take(tail, 2))
            await storage.append("t", "other", ["0"])
            await storage.append("t", "s", ["4"])
            await storage.append("t", "s", ["5"])

            assert await waiting == [Entry(4, "4"), Entry(5, "5")]

    async def test_tail_of_a_long_stream_skips_nothing(self, storage: Storage) -> None:
        await storage.append("t", "s", [str(seq) for seq in range(1, 2501)])
        async with aclosing(_generator(storage.tail("t", "s"))) as tail:
            assert [entry.seq for entry in await take(tail, 2500)] == list(range(1, 2501))

    async def test_concurrent_appends_lose_and_double_nothing(self, storage: Storage) -> None:
        lasts = await asyncio.gather(*(storage.append("t", "s", [f'"{task}"', f'"{task}+"']) for task in range(100)))

        entries = await storage.read("t", "s")
        assert sorted(lasts) == list(range(2, 201, 2))
        assert [entry.seq for entry in entries] == list(range(1, 201))
        for task, last in enumerate(lasts):
            assert [entries[last - 2].data, entries[last - 1].data] == [f'"{task}"', f'"{task}+"']

    async def test_one_of_many_expecting_writers_wins(self, storage: Storage) -> None:
        for expected in range(5):
            outcomes = await asyncio.gather(
                *(storage.append("t", "s", [str(task)], expected_seq=expected) for task in range(10)), return_exceptions=True
            )

            conflicts = [outcome for outcome in outcomes if isinstance(outcome, StorageConflict)]
            assert [outcome for outcome in outcomes if not isinstance(outcome, StorageConflict)] == [expected + 1]
            assert {conflict.actual for conflict in conflicts} == {expected + 1}

    async def test_conflict_of_one_writer_fails_no_other(self, storage: Storage) -> None:
        outcomes = await asyncio.gather(
            *(storage.append("t", f"s{task}", ["1"], expected_seq=task % 2) for task in range(20)), return_exceptions=True
        )

        for task, outcome in enumerate(outcomes):
            assert isinstance(outcome, StorageConflict) if task % 2 else outcome == 1
            assert await storage.last_seq("t", f"s{task}") == (task + 1) % 2

    async def test_cancelled_write_is_whole_or_absent(self, storage: Storage) -> None:
        for turns in range(8):
            writes = [asyncio.ensure_future(storage.append("t", f"s{turns}", ["1", "2", "3"])) for _ in range(5)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for write in writes:
                write.cancel()
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
            completed = sum(not isinstance(outcome, BaseException) for outcome in outcomes)

            last = await storage.append("t", f"s{turns}", ["1", "2", "3"])

            entries = await storage.read("t", f"s{turns}")
            assert [entry.seq for entry in entries] == list(range(1, last + 1))
            assert [entry.data for entry in entries] == ["1", "2", "3"] * (last // 3)
            assert last // 3 > completed

    async def test_cancelled_call_raises_cancelled(self, storage: Storage) -> None:
        await storage.open()
        waiting = asyncio.ensure_future(_next(storage.tail("t", "unknown")))
        reading = asyncio.ensure_future(storage.read("t", "s"))
        await asyncio.sleep(0.02)
        waiting.cancel()
        reading.cancel()
        outcomes = await asyncio.gather(waiting, reading, return_exceptions=True)

        assert waiting.cancelled()
        assert isinstance(outcomes[1], asyncio.CancelledError) or list(cast("Any", outcomes[1])) == []


async def take(entries: AsyncIterator[Entry], count: int, *, patience: float = 5.0) -> list[Entry]:
    """Return the next *count* entries of a tail.

    Raises:
        TimeoutError: If they do not come within *patience* seconds.
    """

    async def collect() -> list[Entry]:
        return [await anext(entries) for _ in range(count)]

    return await asyncio.wait_for(collect(), patience)


async def _next(entries: AsyncIterator[Entry]) -> Entry:
    return await anext(entries)


def _generator(entries: AsyncIterator[Entry]) -> Any:
    """Return a tail as what it is in every implementation: a generator, which can be closed."""
    return entries
