"""The kit for models, part three: how a model behaves among others."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
import time
from typing import ClassVar

import pytest

from ergaster.contracts.model import Model
from ergaster.errors import ModelError
from ergaster.testing._model_base import KEY, ModelKit, ask, collect
from ergaster.testing.loopback import (
    LoopbackServer,
    ReceivedRequest,
    Reply,
    cut_stream,
    failing,
    hanging,
)

__all__ = ["ConductKit"]

AT_ONCE = 20
LONGEST_STALL = 0.5
"""Seconds of the clock; far above what a test machine does by itself."""
LONGEST_WORK = 0.15
"""Seconds of CPU that the loop's thread may spend without a pause."""

_IMPORTS = """
import sys
from ergaster.plugins import PluginManager
plugins = PluginManager()
plugins.create("model", sys.argv[1], {"api_key": "k", "base_url": "http://127.0.0.1:9/v1"})
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


class ConductKit(ModelKit):
    """Concurrency, cancellation, event loops, secrets, imports, and the loop's freedom."""

    heavy: ClassVar[frozenset[str]] = frozenset(
        {"aiohttp", "anthropic", "boto3", "cohere", "google", "httpx", "httpx2", "mistralai", "openai", "pydantic", "requests"}
    )
    """Packages that must not be loaded before the first call."""

    async def test_many_calls_run_at_once(self, server: LoopbackServer, model: Model) -> None:
        server.together = AT_ONCE
        server.default = _echo

        async with asyncio.timeout(60):
            replies = await asyncio.gather(*(model.generate(ask(f"question {number}")) for number in range(AT_ONCE)))

        assert [f"answer {number}" for number in range(AT_ONCE)] == [reply.message.text for reply in replies]

    async def test_many_streams_run_at_once(self, server: LoopbackServer, model: Model) -> None:
        server.together = AT_ONCE
        server.default = _echo

        async with asyncio.timeout(60):
            results = await asyncio.gather(*(collect(model, ask(f"question {number}")) for number in range(AT_ONCE)))

        assert [f"answer {number}" for number in range(AT_ONCE)] == [replies[0].message.text for _, replies in results]

    async def test_calls_in_turn_share_a_connection(self, server: LoopbackServer, model: Model) -> None:
        for _ in range(5):
            await model.generate(ask())
            await collect(model, ask())

        assert server.connections == 1

    async def test_a_cancelled_call_closes_its_connection(self, server: LoopbackServer, model: Model) -> None:
        server.say(hanging())
        task = asyncio.create_task(model.generate(ask()))
        await asyncio.to_thread(server.wait_until, lambda server: len(server.requests) == 1)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await asyncio.to_thread(server.wait_until, lambda server: server.open_connections == 0)

    async def test_a_cancelled_stream_closes_its_connection(self, server: LoopbackServer, model: Model) -> None:
        server.say(cut_stream(4, "hang"))
        begun = asyncio.Event()

        async def read() -> None:
            async for _ in model.stream(ask()):
                begun.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(begun.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await asyncio.to_thread(server.wait_until, lambda server: server.open_connections == 0)

    async def test_a_stream_that_is_left_closes_its_connection(self, server: LoopbackServer, model: Model) -> None:
        server.say(cut_stream(4, "hang"))
        stream = model.stream(ask())
        await anext(aiter(stream))

        await stream.aclose()  # type: ignore[attr-defined]  # an async generator has it

        assert await asyncio.to_thread(server.wait_until, lambda server: server.open_connections == 0)

    async def test_a_model_works_after_a_failure_and_after_closing(self, server: LoopbackServer, model: Model) -> None:
        server.say(failing(500), Reply(text="again"), Reply(text="and again"))

        with pytest.raises(ModelError):
            await model.generate(ask())
        first = await model.generate(ask())
        await model.close()
        await model.close()
        second = await model.generate(ask())

        assert [first.message.text, second.message.text] == ["again", "and again"]

    def test_a_model_serves_two_event_loops_in_turn(self, server: LoopbackServer) -> None:
        model = self.make_model(server.base_url)

        async def talk() -> list[str]:
            reply = await model.generate(ask())
            _, [streamed] = await collect(model, ask())
            return [reply.message.text, streamed.message.text]

        first, second = asyncio.run(talk()), asyncio.run(talk())
        gc.collect()  # what a dead loop left behind would complain here

        assert ["ok", "ok"] == first == second
        assert server.wait_until(lambda server: server.open_connections == 0)

    async def test_nobody_sees_the_key(self, server: LoopbackServer, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(0)
        model = self.make_model(server.base_url)
        await model.generate(ask())
        await collect(model, ask())
        await model.close()

        assert KEY in str(server.requests[0].headers), "the key is for the provider"
        shown = f"{model!r} {model} {model.__class__} {model.capabilities} {caplog.text}"
        assert KEY not in shown

    async def test_a_call_leaves_the_loop_free(self, server: LoopbackServer) -> None:
        model = self.make_model(server.base_url)
        server.say(Reply(text="first"), Reply(text="word " * 2_000, piece=5))
        begun = asyncio.Event()
        pulse = asyncio.create_task(_pulse(begun))
        await begun.wait()

        await model.generate(ask())
        await collect(model, ask())
        pulse.cancel()
        longest, most = await pulse
        await model.close()

        assert longest < LONGEST_STALL, f"the event loop stood still for {longest:.2f} s"
        assert most < LONGEST_WORK, f"the event loop worked for {most:.2f} s without a pause"

    def test_nothing_heavy_is_loaded_before_the_first_call(self) -> None:
        if not self.ref:
            pytest.skip("a model without a reference has no plugin to import")

        command = [sys.executable, "-c", _IMPORTS, self.ref]
        result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own script

        assert set() == self.heavy & set(result.stdout.split())

    def test_the_model_says_who_it_is(self, server: LoopbackServer) -> None:
        model = self.make_model(server.base_url)

        assert model.provider
        assert model.name
        assert f"{model.provider}:{model.name}" in repr(model)

    def test_no_test_of_the_kit_is_overridden(self) -> None:
        kits = [base for base in type(self).__mro__ if base.__module__.startswith("ergaster.testing.")]
        own = [base for base in type(self).__mro__ if base not in kits]
        promised = {name for kit in kits for name in vars(kit) if name.startswith("test_")}

        assert set() == promised & {name for base in own for name in vars(base)}


def _echo(request: ReceivedRequest) -> Reply:
    asked = re.search(rb"question (\d+)", request.raw)
    return Reply(text=f"answer {asked[1].decode() if asked else '?'}")


async def _pulse(begun: asyncio.Event) -> tuple[float, float]:
    """Return, when cancelled, the longest pause between two turns of the loop, and the most work, in seconds."""
    longest = most = 0.0
    begun.set()
    while True:
        clock, work = time.perf_counter(), time.thread_time()
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            return longest, most
        longest = max(longest, time.perf_counter() - clock)
        most = max(most, time.thread_time() - work)
