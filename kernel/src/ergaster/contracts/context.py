"""What a run shows to features and tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from ergaster.contracts.storage import Storage
from ergaster.events import Event
from ergaster.messages import Json, JsonObject, Message, Usage

__all__ = ["Resolve", "RunContext", "ToolContext", "Turn"]


@frozen
class Resolve:
    """A dependency that is made for each run: `dependencies={"account": Resolve(load_account)}`.

    Attributes:
        make: A function of the run's context, asynchronous or not; called before the first step in each process that
            works on the run.
    """

    make: Callable[[RunContext], object]


@frozen
class Turn:
    """A finished run of a session.

    Attributes:
        run_id: The run.
        runnable: The name of the agent, team or workflow.
        messages: What was said, from the user's input to the answer, tool calls and results included.
        user_id: Whose turn it was.
        seq: Its place in the session, rising.
    """

    run_id: str
    runnable: str
    messages: tuple[Message, ...]
    user_id: str | None = None
    seq: int = 0
    metadata: JsonObject = field(factory=dict)


@runtime_checkable
class RunContext(Protocol):
    """A run as a feature sees it. A tool parameter annotated with it receives it."""

    @property
    def run_id(self) -> str:
        """The run."""

    @property
    def session_id(self) -> str | None:
        """The session, if there is one."""

    @property
    def user_id(self) -> str | None:
        """The user, if known."""

    @property
    def tenant(self) -> str:
        """The tenant; `default` when there is only one."""

    @property
    def runnable(self) -> str:
        """The name of the agent."""

    @property
    def path(self) -> tuple[str, ...]:
        """Where in the tree of runs this one is."""

    @property
    def depth(self) -> int:
        """How many runs enclose this one."""

    @property
    def input(self) -> tuple[Message, ...]:
        """What the run was given."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The run's own messages so far."""

    @property
    def usage(self) -> Usage:
        """What the run has used so far."""

    @property
    def dependencies(self) -> Mapping[str, object]:
        """What the caller handed in by name."""

    @property
    def metadata(self) -> JsonObject:
        """What the caller wrote on the run."""

    @property
    def storage(self) -> Storage | None:
        """The agent's storage."""

    @property
    def session_state(self) -> MutableMapping[str, Json]:
        """The session's state; changes are saved key by key after the step, and merge with those of other runs."""

    def state(self, owner: object) -> MutableMapping[str, Json]:
        """Return *owner*'s own state in this run: JSON only, journalled, there again after a crash."""

    async def step(self, name: str, fn: Callable[[], Awaitable[Json]]) -> Json:
        """Run *fn* once in the life of the run and journal its JSON value; later calls of that name return the value."""

    async def emit(self, event: Event) -> None:
        """Tell the run's listeners; a durable event is journalled first."""

    async def turns(self, limit: int) -> Sequence[Turn]:
        """Return up to *limit* finished turns of the session before this run, oldest first."""

    def resolve(self, kind: str, ref: str, options: Mapping[str, object] | None = None) -> object:
        """Return the plugin object of that name, made with those options; the only way to reach another plugin.

        Equal names and options give the same object. A model may be named by an alias of the configuration.
        """


@runtime_checkable
class ToolContext(RunContext, Protocol):
    """A tool call as the tool sees it. A tool parameter annotated with it receives it."""

    @property
    def call_id(self) -> str:
        """The call."""

    @property
    def idempotency_key(self) -> str:
        """The same on every try of this call, different for every other; hand it to the system that you change."""

    @property
    def attempt(self) -> int:
        """Which try this is, from 1."""

    async def progress(self, value: Json) -> None:
        """Tell the run's listeners how far the tool is."""
