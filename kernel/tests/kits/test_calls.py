"""Tool calls without a run: what `call_tool` does of what an agent does."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest

from ergaster.contracts.context import RunContext, ToolContext
from ergaster.contracts.toolkit import ToolOutput
from ergaster.errors import InvalidArguments, ToolError, ToolTimeout, Unsupported
from ergaster.messages import JsonObject
from ergaster.testing import DetachedContext, call_tool
from ergaster.tools import Inject, tool


@tool
async def add(left: int, right: int = 1) -> int:
    """Add.

    Args:
        left: A number.
        right: Another.
    """
    return left + right


async def test_arguments_are_an_object_or_the_text_that_a_model_wrote():
    assert await call_tool(add, {"left": 1, "right": 2}) == ToolOutput("3", data=3)
    assert (await call_tool(add, '{"left": 1}')).content == "2"
    with pytest.raises(InvalidArguments):
        await call_tool(add)
    with pytest.raises(InvalidArguments):
        await call_tool(add, '{"left": "1"}')
    with pytest.raises(InvalidArguments):
        await call_tool(add, '{"left": 1')


async def test_the_tool_sees_what_the_test_gives_and_the_test_what_the_tool_tells():
    @tool
    async def look(context: ToolContext, database: Annotated[str, Inject("db")]) -> str:
        """Look."""
        await context.progress({"done": 1})
        context.session_state["seen"] = True
        first = await context.step("pay", pay)
        again = await context.step("pay", pay)
        return f"{context.user_id} {context.tenant} {database} {first} {again} {context.resolve('model', 'fast')}"

    async def pay() -> int:
        paid.append(1)
        return len(paid)

    paid: list[int] = []
    context = DetachedContext(user_id="ada", dependencies={"db": "sql"}, plugins={("model", "fast"): "m"})

    output = await call_tool(look, {}, context=context)

    assert isinstance(context, ToolContext)
    assert isinstance(context, RunContext)
    assert output.content == "ada default sql 1 1 m"
    assert context.progressed == [{"done": 1}]
    assert context.session_state == {"seen": True}


async def test_what_the_test_did_not_give_is_an_error_that_says_how():
    with pytest.raises(Unsupported, match=r"plugins=\{\('model', 'fast'\)"):
        DetachedContext().resolve("model", "fast")
    with pytest.raises(TypeError, match="no_such_field"):
        await call_tool(add, {"left": 1}, no_such_field=1)


async def test_hooks_wrap_the_call_the_first_outermost():
    async def double(arguments: JsonObject, context: object, call) -> object:
        return await call({**arguments, "left": arguments["left"] * 2})

    async def minus_one(arguments: JsonObject, context: object, call) -> object:
        return await call({**arguments, "left": arguments["left"] - 1})

    assert (await call_tool(add.replace(hooks=(double, minus_one)), {"left": 5})).content == "10"


async def test_a_tool_that_takes_too_long_is_ended():
    @tool(timeout=0.01)
    async def wait() -> None:
        """Wait."""
        await asyncio.Event().wait()

    with pytest.raises(ToolTimeout, match=r"within 0\.01 s"):
        await call_tool(wait)


async def test_a_time_out_of_the_tool_itself_is_its_own_error():
    @tool
    async def give_up() -> None:
        """Give up."""
        raise TimeoutError("the server was slow")

    with pytest.raises(TimeoutError, match="the server was slow"):
        await call_tool(give_up)


async def test_an_external_tool_cannot_be_called_here():
    with pytest.raises(ToolError, match="carried out by the caller"):
        await call_tool(add.replace(external=True, invoke=None), {"left": 1})
