"""How tools run, and what becomes of their results."""

from __future__ import annotations

import logging
import threading
from datetime import date
from typing import Any

import anyio
import anyio.from_thread
import attrs
import pytest

from ergaster.contracts.toolkit import Tool, ToolOutput
from ergaster.errors import ToolError
from ergaster.messages import File, Image
from ergaster.tools import thread_limiter, to_output, tool


@attrs.frozen
class Trip:
    to: str
    day: date | None = None


class Call:
    """A running call, as far as these tools look at it."""

    def __init__(self, **dependencies: object) -> None:
        self.dependencies = dependencies
        self.reports: list[Any] = []

    async def progress(self, value: Any) -> None:
        self.reports.append(value)


async def run(made: Tool, arguments: dict[str, Any], call: Call | None = None) -> Any:
    return await made.invoke(made.validate(arguments), call or Call())


async def test_plain_functions_run_in_a_thread_unless_declared_not_to_block():
    def where() -> int:
        return threading.get_ident()

    async def where_async() -> int:
        return threading.get_ident()

    here = threading.get_ident()

    assert here != await run(tool(where), {})
    assert here == await run(tool(blocking=False)(where), {})
    assert here == await run(tool(where_async), {})


async def test_plain_function_that_returns_an_awaitable_is_awaited():
    async def inner() -> str:
        return "done"

    @tool
    def outer() -> Any:
        return inner()

    assert "done" == await run(outer, {})


async def test_threads_are_counted_by_the_limiter_that_the_caller_chose():
    limiter = anyio.CapacityLimiter(1)
    token = thread_limiter.set(limiter)

    @tool
    def borrowed() -> int:
        return anyio.from_thread.run_sync(lambda: limiter.borrowed_tokens)

    try:
        assert 1 == await run(borrowed, {})
    finally:
        thread_limiter.reset(token)


async def test_generator_reports_each_value_and_gives_its_last_or_what_it_returns():
    @tool
    def count(to: int) -> Any:
        yield from range(to)

    @tool
    def count_and_return(to: int) -> Any:
        yield from range(to)
        return "end"

    @tool
    async def count_async(to: int) -> Any:
        for number in range(to):
            yield number

    for made, result in ((count, 2), (count_and_return, "end"), (count_async, 2)):
        call = Call()

        assert result == await run(made, {"to": 3}, call)
        assert [0, 1, 2] == call.reports
        assert to_output(await run(made, {"to": 0})).content == ("end" if result == "end" else "done")


async def test_tool_output_that_is_yielded_is_the_result_and_no_progress():
    @tool
    async def draw() -> Any:
        yield {"percent": 50}
        yield ToolOutput("drawn")

    call = Call()

    assert ToolOutput("drawn") == await run(draw, {}, call)
    assert [{"percent": 50}] == call.reports


async def test_progress_that_cannot_become_json_is_an_error():
    @tool
    def bad() -> Any:
        yield object()

    with pytest.raises(ToolError, match="a progress report of the tool cannot become JSON"):
        await run(bad, {})


async def test_blocking_call_that_is_given_up_does_not_hold_the_caller_and_is_logged():
    started, release, ended = threading.Event(), threading.Event(), threading.Event()
    logged: list[str] = []

    @tool
    def wait() -> str:
        started.set()
        release.wait(30)
        return "late"

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(record.getMessage())
            ended.set()

    logger = logging.getLogger("ergaster.tools.calling")
    logger.addHandler(watch := Watch())
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(run, wait, {})
            await anyio.to_thread.run_sync(started.wait)
            group.cancel_scope.cancel()
        release.set()

        assert await anyio.to_thread.run_sync(ended.wait, 30)
        assert ["a blocking tool ended after its call was given up; its result is dropped"] == logged
    finally:
        logger.removeHandler(watch)


async def test_generator_whose_call_is_given_up_is_closed_at_its_next_step():
    first, release, closed = threading.Event(), threading.Event(), threading.Event()

    @tool
    def steps() -> Any:
        try:
            yield 1
            first.set()
            release.wait(30)
            yield 2
            raise AssertionError("it went on")
        finally:
            closed.set()

    call = Call()
    async with anyio.create_task_group() as group:
        group.start_soon(run, steps, {}, call)
        await anyio.to_thread.run_sync(first.wait)
        group.cancel_scope.cancel()
    release.set()

    assert await anyio.to_thread.run_sync(closed.wait, 30)
    assert [1] == call.reports


PICTURE = Image(b"\x89PNG", media_type="image/png", name="chart.png")


@pytest.mark.parametrize(
    ("value", "output"),
    [
        (None, ToolOutput("done")),
        ("text", ToolOutput("text")),
        ("", ToolOutput("")),
        (True, ToolOutput("true", data=True)),
        (4.5, ToolOutput("4.5", data=4.5)),
        ({"ä": [1, None]}, ToolOutput('{"ä":[1,null]}', data={"ä": [1, None]})),
        (Trip("Oslo"), ToolOutput('{"to":"Oslo","day":null}', data={"to": "Oslo", "day": None})),
        (date(2025, 1, 31), ToolOutput("2025-01-31", data="2025-01-31")),
        (PICTURE, ToolOutput("[image 'chart.png', image/png]", media=(PICTURE,))),
        (["Sales:", PICTURE], ToolOutput("Sales:\n[image 'chart.png', image/png]", media=(PICTURE,))),
        (b"raw", ToolOutput("[file, application/octet-stream]", media=(File(b"raw"),))),
        (ToolOutput("as it is"), ToolOutput("as it is")),
    ],
)
def test_result_becomes_output(value, output):
    assert output == to_output(value)


def test_result_that_cannot_become_json_is_an_error_that_names_the_place():
    with pytest.raises(ToolError, match=r"the result of the tool cannot become JSON: a\[0\]: found a builtins.object"):
        to_output({"a": [object()]})
