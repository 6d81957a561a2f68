"""One tool call at work: features and hooks around it, cache, retries, time-out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ergaster.codec import dump_json, load_json
from ergaster.contracts.context import ToolContext
from ergaster.contracts.toolkit import Tool, ToolHook, ToolOutput
from ergaster.errors import InvalidArguments, InvalidInput, ToolError, ToolTimeout
from ergaster.messages import JsonObject, ToolCall
from ergaster.run import CallContext, Run
from ergaster.tools import thread_limiter, to_output

if TYPE_CHECKING:
    from anyio import CapacityLimiter

__all__ = ["checked", "invoke_tool", "parse_arguments"]

_CACHE_SIZE = 1024


def parse_arguments(call: ToolCall) -> JsonObject:
    """Return the arguments that the model wrote.

    Raises:
        InvalidArguments: If they are no JSON object; the message tells the model what to send.
    """
    try:
        arguments = load_json(call.arguments.strip() or "{}")
    except InvalidInput as error:
        raise InvalidArguments(
            f"the arguments of {call.name} cannot be read: {error}; send one JSON object", tool=call.name
        ) from error
    if not isinstance(arguments, dict):
        raise InvalidArguments(f"the arguments of {call.name} must be one JSON object", tool=call.name)
    return arguments


def checked(tool: Tool, arguments: JsonObject) -> JsonObject:
    """Return raw arguments as the tool takes them.

    Raises:
        InvalidArguments: If they do not fit its schema.
    """
    return arguments if tool.validate is None else tool.validate(arguments)


async def invoke_tool(run: Run, call: ToolCall, tool: Tool, arguments: JsonObject, *, attempt: int) -> ToolOutput:
    """Run a call whose arguments were checked and return what it gave."""
    key = _cache_key(run, call) if tool.cache else ""
    if key and (kept := run.plan.tool_cache.get(key)) and kept[0] > monotonic():
        return kept[1]
    context = CallContext.make(run, call, attempt=attempt)

    async def innermost(given: ToolCall) -> ToolOutput:
        final = arguments if given is call else checked(tool, parse_arguments(given))
        return to_output(await _with_hooks(tool, final, context))

    chain = run.plan.call_tool(context, innermost)
    with _own_threads(run):
        output = await (_with_retries(tool, lambda: chain(call)) if tool.retries else chain(call))
    if key:
        _keep(run.plan.tool_cache, key, monotonic() + tool.cache, output)
    return output


async def _with_hooks(tool: Tool, arguments: JsonObject, context: ToolContext) -> object:
    async def innermost(given: JsonObject) -> object:
        if tool.invoke is None:
            raise ToolError(f"{tool.name} is carried out by the caller, not here", tool=tool.name)
        if tool.timeout is None:
            return await tool.invoke(given, context)
        try:
            async with asyncio.timeout(tool.timeout):
                return await tool.invoke(given, context)
        except TimeoutError as error:
            raise ToolTimeout(
                f"{tool.name} did not finish within {tool.timeout:g} s; whether it acted is unknown", tool=tool.name
            ) from error

    call: Callable[[JsonObject], Awaitable[object]] = innermost
    for hook in reversed(tool.hooks):
        call = _hooked(hook, context, call)
    return await call(arguments)


def _hooked(
    hook: ToolHook, context: ToolContext, call: Callable[[JsonObject], Awaitable[object]]
) -> Callable[[JsonObject], Awaitable[object]]:
    def wrapped(arguments: JsonObject) -> Awaitable[object]:
        return hook(arguments, context, call)

    return wrapped


async def _with_retries(tool: Tool, call: Callable[[], Awaitable[ToolOutput]]) -> ToolOutput:
    import stamina

    def can_retry(error: Exception) -> bool:
        return bool(getattr(error, "can_retry", False)) or (tool.idempotent and isinstance(error, ToolTimeout))

    async for attempt in stamina.retry_context(on=can_retry, attempts=tool.retries + 1, timeout=None, wait_initial=0.1):
        with attempt:
            return await call()
    raise AssertionError("unreachable: the last attempt returns or raises")


def _cache_key(run: Run, call: ToolCall) -> str:
    arguments = dict(sorted(parse_arguments(call).items()))
    return dump_json([run.tenant, run.user_id, call.name, arguments])


_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, CapacityLimiter]] = WeakKeyDictionary()


@contextmanager
def _own_threads(run: Run) -> Iterator[None]:
    """Give each depth of nesting its own worker threads, so that blocking tools that run agents never wait in a circle."""
    if run.depth == 0:
        yield
        return
    from anyio import CapacityLimiter

    depths = _limiters.setdefault(run.loop, {})
    token = thread_limiter.set(depths.setdefault(run.depth, CapacityLimiter(40)))
    try:
        yield
    finally:
        thread_limiter.reset(token)


def _keep(cache: dict[str, tuple[float, ToolOutput]], key: str, until: float, output: ToolOutput) -> None:
    if len(cache) >= _CACHE_SIZE:
        now = monotonic()
        for stale in [each for each, (end, _) in cache.items() if end <= now] or [next(iter(cache))]:
            del cache[stale]
    cache[key] = (until, output)
