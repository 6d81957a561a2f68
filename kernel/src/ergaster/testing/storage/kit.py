"""The kit that every storage has to pass.

A plugin's test module subclasses it and says how a storage is made:

    class TestExample(StorageContract):
        opener = "ergaster_example:ExampleStorage"
        is_shared_by_processes = True

        @pytest.fixture
        def place(self, tmp_path):
            return f"example:///{tmp_path}/kit.db"

The kit needs pytest and hypothesis.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from importlib import import_module
from typing import Any, ClassVar, cast

import pytest

from ergaster.contracts.storage import Entry, Storage, Table
from ergaster.errors import StorageConflict
from ergaster.testing.contract import Contract
from ergaster.testing.storage.records import MEBIBYTE, TABLE, RecordCases
from ergaster.testing.storage.streams import StreamCases, take

__all__ = ["StorageContract"]

_LONGEST_STALL = 0.5
"""Seconds; far above what scheduling costs on a busy machine, far below what a blocking call under load takes."""

_WORKER = """
import asyncio, sys
from ergaster.testing.storage.kit import add_entries_and_count
asyncio.run(add_entries_and_count(*sys.argv[1:]))
"""


class StorageContract(Contract, RecordCases, StreamCases):
    """What every storage does; subclass it with a fixture `place` and an `opener`.

    Attributes:
        opener: `module:callable` that makes a storage from a place, also in another process.
        is_shared_by_processes: Whether two processes on one place see the same data.
    """

    opener: ClassVar[str] = ""
    is_shared_by_processes: ClassVar[bool] = False

    def make(self, place: str) -> Storage:
        """Return a storage on a place; two on the same place see the same data."""
        return open_place(self.opener, place)

    @pytest.fixture
    def place(self) -> str:
        """Return the address of an empty place."""
        raise NotImplementedError("give the kit a fixture `place` that returns the address of an empty place")

    @pytest.fixture
    async def storage(self, place: str) -> AsyncIterator[Storage]:
        """Give a storage on the place, and close it."""
        storage = self.make(place)
        yield storage
        await storage.close()

    async def test_calls_open_by_themselves_and_close_may_be_repeated(self, storage: Storage) -> None:
        assert await storage.append("t", "s", ["1"]) == 1
        await storage.close()
        await storage.close()

        await storage.open()
        await storage.open()
        assert await storage.append("t", "after", ["1"]) == 1

    async def test_close_finishes_pending_writes(self, storage: Storage, place: str) -> None:
        await storage.open()
        writes = [asyncio.ensure_future(storage.append("t", "s", [str(number)])) for number in range(50)]
        await asyncio.sleep(0)
        await storage.close()
        assert sorted(await asyncio.gather(*writes)) == list(range(1, 51))

        other = self.make(place)
        assert await other.last_seq("t", "s") == 50
        await other.close()

    async def test_reopened_place_has_kept_everything(self, storage: Storage, place: str) -> None:
        await storage.append("t", "s", ["1", "2"])
        await storage.put(TABLE, "t", "r", {"name": "a"})
        await storage.close()

        other = self.make(place)
        record = await other.get(TABLE, "t", "r")
        assert record is not None
        assert (dict(record.value), record.version) == ({"name": "a"}, 1)
        assert [entry.data for entry in await other.read("t", "s")] == ["1", "2"]
        await other.close()

    async def test_tail_sees_what_another_handle_writes(self, storage: Storage, place: str) -> None:
        other = self.make(place)
        await other.open()
        async with aclosing(cast("Any", storage.tail("t", "s"))) as tail:
            waiting = asyncio.ensure_future(take(tail, 1, patience=5 + 4 * storage.poll_interval))
            await asyncio.sleep(0)
            await other.append("t", "s", ["1"])

            assert await waiting == [Entry(1, "1")]
        await other.close()

    async def test_two_event_loops_use_it_at_once(self, storage: Storage) -> None:
        await storage.open()
        failures: list[BaseException] = []

        async def work(name: str) -> None:
            for number in range(40):
                await storage.append("t", "s", [f'"{name}{number}"'])
                await storage.put(TABLE, name, f"r{number}", {"rank": number})

        def elsewhere() -> None:
            try:
                asyncio.run(work("thread"))
            except BaseException as error:  # boundary: the test's own thread tells the test
                failures.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await work("loop")
        await asyncio.to_thread(thread.join)

        assert failures == []
        written = [entry.data for entry in await storage.read("t", "s")]
        assert sorted(written) == sorted(f'"{name}{number}"' for name in ("thread", "loop") for number in range(40))

    async def test_tail_is_woken_from_another_event_loop(self, storage: Storage) -> None:
        await storage.open()
        async with aclosing(cast("Any", storage.tail("t", "s"))) as tail:
            waiting = asyncio.ensure_future(take(tail, 1))
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: asyncio.run(_append_one(storage)))

            assert await waiting == [Entry(1, "1")]

    async def test_event_loop_never_stalls(self, storage: Storage) -> None:
        await storage.open()
        stalls: list[float] = []
        for _ in range(3):  # a busy machine may stall a loop once; a blocking storage does it every time
            stalls.append(await _longest_stall(storage))
            if stalls[-1] < _LONGEST_STALL:
                break

        assert min(stalls) < _LONGEST_STALL

    async def test_several_processes_lose_and_double_nothing(self, storage: Storage, place: str) -> None:
        if not self.is_shared_by_processes:
            pytest.skip("the storage is not shared by processes")
        names, count = ("a", "b", "c"), 40
        command = [sys.executable, "-c", _WORKER, self.opener, place]
        workers = [await asyncio.create_subprocess_exec(*command, name, str(count)) for name in names]
        assert [await worker.wait() for worker in workers] == [0, 0, 0]

        written = [entry.data for entry in await storage.read("t", "s")]
        record = await storage.get(Table("kit_counters"), "t", "counter")
        assert sorted(written) == sorted(f'"{name}{number}"' for name in names for number in range(count))
        for name in names:
            mine = [data for data in written if data.startswith(f'"{name}')]
            assert mine == [f'"{name}{number}"' for number in range(count)]
        assert record is not None
        assert record.value["count"] == record.version == len(names) * count


def open_place(opener: str, place: str) -> Storage:
    """Return the storage that `module:callable` makes from a place."""
    module, _, name = opener.partition(":")
    factory = cast("Callable[[str], Storage]", getattr(import_module(module), name))
    return factory(place)


async def add_entries_and_count(opener: str, place: str, name: str, count: str) -> None:
    """Append entries and increment a counter, as one of several processes that do so at once."""
    storage = open_place(opener, place)
    counters = Table("kit_counters")
    for number in range(int(count)):
        await storage.append("t", "s", [f'"{name}{number}"'])
        while True:
            record = await storage.get(counters, "t", "counter")
            version, value = (record.version, record.value["count"]) if record is not None else (0, 0)
            try:
                await storage.put(counters, "t", "counter", {"count": value + 1}, if_version=version)
            except StorageConflict:
                continue
            break
    await storage.close()


async def _append_one(storage: Storage) -> None:
    await storage.append("t", "s", ["1"])


async def _longest_stall(storage: Storage) -> float:
    """Return the longest time for which the loop did not come round while the storage worked."""
    longest, is_done = 0.0, False

    async def watch() -> None:
        nonlocal longest
        last = time.monotonic()
        while not is_done:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            longest, last = max(longest, now - last), now

    watcher = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    entry = '"' + "x" * MEBIBYTE + '"'
    await asyncio.gather(*(storage.append("t", f"stall{number}", [entry]) for number in range(8)))
    await asyncio.gather(*(storage.read("t", f"stall{number}") for number in range(8)))
    await storage.put(TABLE, "t", "stall", {"name": "x", "text": "x" * MEBIBYTE})
    await storage.query(TABLE, "t")
    is_done = True
    await watcher
    return longest
