"""The contract of a toolkit, and what a tool is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from attrs import evolve, field, frozen

from ergaster.contracts.context import ToolContext
from ergaster.messages import Json, JsonObject, MediaPart

__all__ = ["Effect", "Tool", "ToolHook", "ToolOutput", "Toolkit"]

Effect: TypeAlias = Literal["read", "write", "network", "exec", "money"]
"""What a tool does to the world; a policy decides on each effect."""


@frozen
class ToolOutput:
    """What a tool gives when text alone is not enough.

    Attributes:
        content: What the model reads.
        media: Pictures, sounds, films, files for the model or the user.
        data: A JSON value for programs; kept in the journal, not sent to the model.
    """

    content: str = ""
    media: tuple[MediaPart, ...] = field(default=(), kw_only=True)
    data: Json = field(default=None, kw_only=True)


Invoke: TypeAlias = Callable[[JsonObject, ToolContext], Awaitable[object]]
"""Runs a tool on arguments that fit its schema. It may return text, a JSON value, a media part, a `ToolOutput`, or an
object that the codec can encode."""

ToolHook: TypeAlias = Callable[[JsonObject, ToolContext, Callable[[JsonObject], Awaitable[object]]], Awaitable[object]]
"""Wraps a call: `async def hook(arguments, context, call): return await call(arguments)`."""


@frozen(kw_only=True)
class Tool:
    """Something that an agent can do. Make one with `@ergaster.tool`; change one with `tool.replace(…)`.

    Attributes:
        name: Letters, digits, `_` and `-`, at most 64; unique in an agent.
        description: For the model to read.
        parameters: JSON Schema of an object with the arguments.
        invoke: Runs it on validated arguments; None for a tool that is carried out elsewhere (`external`).
        validate: Checks raw arguments and returns them as `invoke` wants them; raises `InvalidArguments`.
        effects: What it does to the world; empty means it only computes.
        contained: Its writes stay inside a place that was given to it, its workspace.
        idempotent: Doing it twice is the same as doing it once, so that it may be repeated after a crash.
        confirm: Always ask before running it.
        approval: Ask a third person, with a record; None for nobody, else a name of the group to ask.
        external: The caller carries it out; the run pauses for its result.
        ask_for: Arguments that a person fills in, not the model.
        timeout: Seconds for one try; None for no limit.
        retries: How many more times after an error that the tool says can be retried (`RetryTool` is another thing).
        cache: Seconds for which an equal call by the same user gets the stored result; 0 for never.
        concurrency: How many of its calls may run at once in one run; None for no limit.
        result_limit: Characters of the result that the model may read; the rest is cut with a visible mark.
        ends_run: Its result is the answer of the run.
        shows_result: Its result is shown to the user as it is.
        hooks: Wrap each call, the first outermost.
        toolkit: The toolkit it came from.
    """

    name: str
    description: str
    parameters: JsonObject
    invoke: Invoke | None = field(repr=False)
    validate: Callable[[JsonObject], JsonObject] | None = field(default=None, repr=False)
    effects: frozenset[Effect] = frozenset()
    contained: bool = False
    idempotent: bool = False
    confirm: bool = False
    approval: str | None = None
    external: bool = False
    ask_for: tuple[str, ...] = ()
    timeout: float | None = None
    retries: int = 0
    cache: float = 0.0
    concurrency: int | None = None
    result_limit: int = 100_000
    ends_run: bool = False
    shows_result: bool = False
    hooks: tuple[ToolHook, ...] = field(default=(), repr=False)
    toolkit: str = ""

    def replace(self, **changes: object) -> Tool:
        """Return a copy with these attributes changed."""
        return evolve(self, **changes)  # type: ignore[arg-type]  # evolve checks the names at run time


class Toolkit:
    """Tools that belong together and share what they open.

    Subclass it and decorate methods with `@tool`. A toolkit object serves many runs at once. `open()` is called once
    before the first call and `close()` once after the last; both may be called again afterwards.
    """

    instructions: str = ""
    """What the model should know about the tools as a whole; goes into the system prompt."""

    def tools(self) -> Sequence[Tool]:
        """Return the tools; by default every attribute of the class that is one, in the order of definition."""
        names = [name for base in reversed(type(self).__mro__) for name in vars(base)]
        found: Mapping[str, object] = {name: getattr(self, name) for name in names if not name.startswith("__")}
        return tuple(value for value in found.values() if isinstance(value, Tool))

    async def open(self) -> None:
        """Open connections or processes."""

    async def close(self) -> None:
        """Close them."""
