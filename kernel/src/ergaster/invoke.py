"""One tool call at work: features and hooks around it, cache, retries, time-out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from ergaster.codec import dump_json, load_json
from ergaster.contracts.context import ToolContext
from ergaster.contracts.toolkit import Tool, ToolHook, ToolOutput
from ergaster.errors import InvalidArguments, InvalidInput, ToolError, ToolTimeout
from ergaster.messages import JsonObject, ToolCall
from ergaster.run import CallContext, Run
from ergaster.tools import to_output

__all__ = ["invoke_tool", "parse_arguments"]

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


async def invoke_tool(run: Run, call: ToolCall, tool: Tool, arguments: JsonObject, *, attempt: int) -> ToolOutput:
    """Run a call whose arguments were checked and return what it gave."""
    key = _cache_key(run, tool, arguments) if tool.cache else ""
    if key and (kept := run.plan.tool_cache.get(key)) and kept[0] > monotonic():
        return kept[1]
    context = CallContext.make(run, call, attempt=attempt)

    async def innermost(given: ToolCall) -> ToolOutput:
        return to_output(await _with_hooks(tool, arguments if given is call else parse_arguments(given), context))

    chain = run.plan.call_tool(context, innermost)
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


def _cache_key(run: Run, tool: Tool, arguments: JsonObject) -> str:
    ordered = dict(sorted(arguments.items()))
    return dump_json([run.tenant, run.user_id, tool.name, ordered])


def _keep(cache: dict[str, tuple[float, ToolOutput]], key: str, until: float, output: ToolOutput) -> None:
    if len(cache) >= _CACHE_SIZE:
        now = monotonic()
        for stale in [each for each, (end, _) in cache.items() if end <= now] or [next(iter(cache))]:
            del cache[stale]
    cache[key] = (until, output)
