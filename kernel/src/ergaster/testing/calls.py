"""Tool calls without a run: for tests of tools and toolkits."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

from attrs import define, field

from ergaster.contracts.context import Turn
from ergaster.contracts.storage import Storage
from ergaster.contracts.toolkit import Tool, ToolOutput
from ergaster.errors import ToolError, ToolTimeout, Unsupported
from ergaster.events import Event
from ergaster.messages import Json, JsonObject, Message, ToolCall, Usage

__all__ = ["DetachedContext", "call_tool"]


@define(kw_only=True, eq=False)
class DetachedContext:
    """What a tool sees of its call when there is no run; implements `contracts.context.ToolContext`.

    Every field may be given. What the tool tells is kept: `events` and `progressed`.

    Attributes:
        plugins: What `resolve(kind, ref)` returns, by kind and reference.
        events: What was emitted, in order.
        progressed: What was reported as progress, in order.
    """

    run_id: str = "run-1"
    session_id: str | None = None
    user_id: str | None = None
    tenant: str = "default"
    runnable: str = "test"
    path: tuple[str, ...] = ("test",)
    depth: int = 0
    input: tuple[Message, ...] = ()
    messages: tuple[Message, ...] = ()
    usage: Usage = field(factory=Usage)
    dependencies: Mapping[str, object] = field(factory=dict)
    metadata: JsonObject = field(factory=dict)
    storage: Storage | None = None
    session_state: MutableMapping[str, Json] = field(factory=dict)
    call_id: str = "call-1"
    idempotency_key: str = "run-1:call-1"
    attempt: int = 1
    plugins: Mapping[tuple[str, str], object] = field(factory=dict)
    past_turns: Sequence[Turn] = ()
    events: list[Event] = field(factory=list, init=False)
    progressed: list[Json] = field(factory=list, init=False)
    _states: dict[int, MutableMapping[str, Json]] = field(factory=dict, init=False)
    _steps: dict[str, Json] = field(factory=dict, init=False)

    def state(self, owner: object) -> MutableMapping[str, Json]:
        """Return the owner's own dictionary."""
        return self._states.setdefault(id(owner), {})

    async def step(self, name: str, fn: Callable[[], Awaitable[Json]]) -> Json:
        """Run *fn* the first time and return its value again afterwards."""
        if name not in self._steps:
            self._steps[name] = await fn()
        return self._steps[name]

    async def emit(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    async def turns(self, limit: int) -> Sequence[Turn]:
        """Return the last of `past_turns`."""
        return tuple(self.past_turns)[-limit:]

    def resolve(self, kind: str, ref: str, options: Mapping[str, object] | None = None) -> object:
        """Return what `plugins` holds; options change nothing."""
        try:
            return self.plugins[kind, ref]
        except KeyError:
            raise Unsupported(f"this call has no {kind} {ref!r}; give it with plugins={{({kind!r}, {ref!r}): ...}}") from None

    async def progress(self, value: Json) -> None:
        """Keep the value."""
        self.progressed.append(value)


async def call_tool(tool: Tool, arguments: JsonObject | str | None = None, **context: object) -> ToolOutput:
    """Run a tool as an agent would: check the arguments, wrap the call in the tool's hooks, mind its time-out.

    Policies, confirmations, retries and the cache belong to a run and take no part.

    Args:
        tool: The tool, such as `toolkit.tools()[0]` or a decorated function.
        arguments: What the model gives: an object, or JSON text exactly as it wrote it.
        context: Fields of `DetachedContext`, such as `user_id="ada"`; or `context=` an instance of yours.

    Raises:
        InvalidArguments: If the arguments do not fit the schema.
        ToolTimeout: If the tool has a time-out and did not end in time.
        Exception: Whatever the tool raises.

    Example:
        output = await call_tool(population, {"city": "Nairobi"})
        assert output.content == "4397073"
    """
    from ergaster.invoke import parse_arguments
    from ergaster.tools import to_output

    given = context.pop("context", None)
    seen = given if isinstance(given, DetachedContext) else DetachedContext(**context)  # type: ignore[arg-type]  # attrs checks the names
    if isinstance(arguments, str):
        arguments = parse_arguments(ToolCall(seen.call_id, tool.name, arguments))
    call: Callable[[JsonObject], Awaitable[object]] = functools.partial(_invoke, tool, seen)
    for hook in reversed(tool.hooks):
        call = functools.partial(_call_hook, hook, seen, call)
    return to_output(await call(arguments or {}))


async def _invoke(tool: Tool, context: DetachedContext, arguments: JsonObject) -> object:
    if tool.invoke is None:
        raise ToolError(f"{tool.name} is carried out by the caller; it cannot be called here", tool=tool.name)
    fitting = tool.validate(arguments) if tool.validate is not None else arguments
    try:
        async with asyncio.timeout(tool.timeout):
            return await tool.invoke(fitting, context)
    except TimeoutError as error:
        if tool.timeout is None:
            raise
        raise ToolTimeout(f"{tool.name} did not finish within {tool.timeout:g} s", tool=tool.name) from error


async def _call_hook(
    hook: Callable[..., Awaitable[object]],
    context: DetachedContext,
    call: Callable[[JsonObject], Awaitable[object]],
    arguments: JsonObject,
) -> object:
    return await hook(arguments, context, call)
