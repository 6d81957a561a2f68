"""Operations of many callers run together, each for itself, on threads of their own."""

import asyncio
import threading

import pytest

from ergaster_support_sql import Lane, LaneClosed, Layout, Outcome


class Recorder:
    """A session that records its batches and can be held back."""

    def __init__(self):
        self.batches = []
        self.opened = self.closed = 0
        self.failures = 0
        self.gate = threading.Event()
        self.gate.set()
        self.is_working = threading.Event()

    def open(self):
        self.opened += 1
        if self.failures:
            self.failures -= 1
            raise OSError("not yet")

    def run(self, operations):
        self.is_working.set()
        assert self.gate.wait(30)
        self.batches.append(len(operations))
        return [Outcome(operation(self)) for operation in operations]

    def close(self):
        self.closed += 1


async def held(lane, session):
    """Start a call and wait until a thread works on it."""
    session.gate.clear()
    session.is_working.clear()
    call = asyncio.ensure_future(lane.call(lambda _: "first"))
    await asyncio.to_thread(session.is_working.wait, 30)
    return call


async def test_calls_that_wait_run_together():
    session = Recorder()
    lane = Lane([session], name="test")
    first = await held(lane, session)
    rest = [asyncio.ensure_future(lane.call(lambda _, number=number: number)) for number in range(20)]
    await asyncio.sleep(0)
    session.gate.set()

    assert await first == "first"
    assert await asyncio.gather(*rest) == list(range(20))
    assert session.batches == [1, 20]
    await lane.close()


async def test_cancelled_call_is_not_run():
    session, ran = Recorder(), []
    lane = Lane([session], name="test")
    first = await held(lane, session)
    doomed = asyncio.ensure_future(lane.call(lambda _: ran.append(1)))
    await asyncio.sleep(0)
    doomed.cancel()
    await asyncio.sleep(0)
    session.gate.set()

    await first
    await lane.close()
    assert ran == []


async def test_failed_open_is_told_and_tried_again():
    session = Recorder()
    session.failures = 1
    lane = Lane([session], name="test")
    with pytest.raises(OSError, match="not yet"):
        await lane.call(lambda _: 1)

    assert await lane.call(lambda _: 2) == 2
    assert session.opened == 2
    await lane.close()


async def test_close_finishes_what_was_asked_and_takes_no_more():
    session = Recorder()
    lane = Lane([session], name="test")
    first = await held(lane, session)
    second = asyncio.ensure_future(lane.call(lambda _: "second"))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(lane.close())
    await asyncio.sleep(0)
    with pytest.raises(LaneClosed):
        await lane.call(lambda _: "late")
    session.gate.set()

    await closing
    assert (await first, await second, session.closed) == ("first", "second", 1)
    await lane.close()


async def test_caller_whose_loop_is_gone_harms_nobody():
    session = Recorder()
    lane = Lane([session], name="test")

    def abandon():
        loop = asyncio.new_event_loop()
        task = loop.create_task(lane.call(lambda _: 1))
        loop.run_until_complete(asyncio.sleep(0))
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()

    first = await held(lane, session)
    await asyncio.to_thread(abandon)
    session.gate.set()

    assert await first == "first"
    assert await lane.call(lambda _: 3) == 3
    await lane.close()


@pytest.mark.parametrize("layout", [{"prefix": "a b"}, {"prefix": "1a"}, {"prefix": "x" * 13}, {"schema": 'a"b'}])
def test_names_that_are_no_identifiers_are_refused(layout):
    from ergaster.errors import InvalidInput

    with pytest.raises(InvalidInput):
        Layout(**layout)


def test_names_fit_every_engine():
    layout = Layout("x" * 12, schema="app")

    assert max(len(layout.records("t" * 40)), len(layout.index("t" * 40, "i" * 40))) <= 63
    assert layout.index("t", "a") != layout.index("t", "b")
    assert layout.qualified("t") == '"app"."t"'
