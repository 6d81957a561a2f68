"""The doors of everything that can be run: asynchronous ones, and the synchronous twins that hand over to them."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TextIO, TypeAlias, TypedDict, Unpack

from ergaster.contracts.feature import Feature
from ergaster.contracts.model import Model, ModelSettings
from ergaster.contracts.runnable import Input, Runnable
from ergaster.contracts.toolkit import Tool, Toolkit
from ergaster.errors import Unsupported
from ergaster.events import Decision, Event, RunFailed, RunPaused, TextDelta
from ergaster.kernel import Kernel
from ergaster.limits import Limits
from ergaster.messages import JsonObject
from ergaster.plan import Instructions, Plan
from ergaster.results import RunResult
from ergaster.run import Closing
from ergaster.sync import iterate, wait

if TYPE_CHECKING:
    from ergaster.contracts.context import RunContext

__all__ = ["FeatureOptions", "FeatureSetting", "Front", "RunOptions", "ToolFactory", "ToolSource", "WorkOptions"]

FeatureSetting: TypeAlias = "bool | str | Mapping[str, Any] | Sequence[Any] | Feature | object"
"""True or False, a mode, options, or the feature itself."""

ToolFactory: TypeAlias = "Callable[[RunContext], Sequence[ToolSource]]"
"""Makes the tools of one run from its context."""

ToolSource: TypeAlias = "str | Mapping[str, Any] | Tool | Toolkit | Runnable | Callable[..., Any]"
"""A toolkit's name, its name with options (`{"use": …}`), a tool, a toolkit, another agent, or a plain function."""


class FeatureOptions(TypedDict, total=False):
    """Features of the first party; any other keyword is the name of a feature as well."""

    history: FeatureSetting
    knowledge: FeatureSetting
    learning: FeatureSetting
    guardrails: FeatureSetting
    reasoning: FeatureSetting
    compaction: FeatureSetting
    fallback: FeatureSetting
    cache: FeatureSetting
    tracing: FeatureSetting
    hooks: FeatureSetting
    session_search: FeatureSetting
    session_state: FeatureSetting
    summaries: FeatureSetting


class WorkOptions(TypedDict, total=False):
    """What a call may set, for a new run and for a resumed one.

    Attributes:
        user_id: The user; a session belongs to the user who began it.
        tenant: Whose data it is; no call reaches another tenant's. Default: `default`.
        parent: The context of the run that starts this one.
        dependencies: Objects for tools and instructions, by name.
        model: Likewise `tools`, `instructions`, `output_schema`, `limits`, `settings`, `tool_choice`: instead of the
            agent's. Any other keyword is the name of a feature.
    """

    user_id: str | None
    tenant: str
    parent: Any
    dependencies: Mapping[str, object]
    model: str | Mapping[str, Any] | Model
    tools: Sequence[ToolSource]
    instructions: Instructions | Sequence[Instructions]
    output_schema: object
    limits: Limits
    settings: ModelSettings
    tool_choice: str
    history: FeatureSetting
    knowledge: FeatureSetting
    learning: FeatureSetting
    guardrails: FeatureSetting
    reasoning: FeatureSetting


class RunOptions(WorkOptions, total=False):
    """What a call that begins a run may set besides.

    Attributes:
        session_id: The conversation to go on with; with a storage, a new one is begun when it is left out.
        run_id: An id of your own, so that the run can be cancelled before it starts and is never begun twice.
        metadata: JSON to keep with the run.
        session_state: Keys to set in the session's state before the run.
    """

    session_id: str | None
    run_id: str | None
    metadata: JsonObject
    session_state: JsonObject


class Front(ABC):
    """What agents and teams share: running, resuming and cancelling, asynchronously and not.

    The sync methods work in scripts, threads and notebooks; inside async code use their twins.
    """

    __slots__ = ()

    name: str
    description: str
    kernel: Kernel
    _plan: Plan | None

    @abstractmethod
    async def plan(self) -> Plan:
        """Return the definition put together; made once."""

    async def plan_over(self, base: Plan, changed: Iterable[str]) -> Plan:
        """Return the definition put together for one run that overrides *changed*, using again what *base* opened."""
        return await self.plan()

    @abstractmethod
    def replace(self, **changes: Any) -> Front:
        """Return a new definition with these arguments changed."""

    def run(self, input: Input, **options: Unpack[RunOptions]) -> RunResult:
        """Run and wait for the end; see `arun`. Not for use inside async code."""
        return wait(self.arun(input, **options))

    async def arun(self, input: Input, **options: Unpack[RunOptions]) -> RunResult:
        """Run on *input* and return the result.

        Returns:
            The result: completed, paused (with what it waits for in `pending`) or cancelled.

        Raises:
            ErgasterError: What made the run fail. With a storage the run can be resumed by the error's `run_id`.
        """
        from ergaster.running import begin, finish

        return await finish(await begin(self, input, dict(options), is_streaming=False))

    def stream(self, input: Input, **options: Unpack[RunOptions]) -> Iterator[Event]:
        """Run and yield events; see `astream`. Not for use inside async code."""
        return iterate(lambda: self.astream(input, **options))

    async def astream(self, input: Input, **options: Unpack[RunOptions]) -> AsyncIterator[Event]:
        """Run on *input* and yield what happens; the last event is terminal.

        What is wrong with the call itself is raised; what goes wrong in the run is its last event.
        """
        from ergaster.running import begin, work

        async with Closing(work(await begin(self, input, dict(options), is_streaming=True))) as events:
            async for event in events:
                yield event

    def print(self, input: Input, *, file: TextIO | None = None, **options: Unpack[RunOptions]) -> None:
        """Run and write the answer to *file* while it arrives; for scripts and notebooks.

        Args:
            input: As for `run`.
            file: Where to write; the standard output when None.
            options: As for `run`.

        Raises:
            ErgasterError: What made the run fail.
        """
        out = sys.stdout if file is None else file
        for event in self.stream(input, **options):
            if isinstance(event, TextDelta) and len(event.path) == 1:
                out.write(event.text)
                out.flush()
            elif isinstance(event, RunPaused):
                out.writelines(
                    f"\n{pending.question} {pending.call.name} {pending.call.arguments}" for pending in event.pending
                )
            elif isinstance(event, RunFailed) and event.exception is not None and len(event.path) == 1:
                raise event.exception
        out.write("\n")

    def resume(
        self, run_id: str, decisions: Sequence[Decision] = (), *, force: bool = False, **options: Unpack[WorkOptions]
    ) -> RunResult:
        """Continue a run and wait for the end; see `aresume`. Not for use inside async code."""
        return wait(self.aresume(run_id, decisions, force=force, **options))

    async def aresume(
        self, run_id: str, decisions: Sequence[Decision] = (), *, force: bool = False, **options: Unpack[WorkOptions]
    ) -> RunResult:
        """Continue a run that was paused, interrupted or failed, from its last finished step.

        Args:
            run_id: The run.
            decisions: Answers to what it waits for; what stays open pauses it again.
            force: Take it even from an owner that seems alive; fencing stops that owner before it writes again.
            options: As for `run`: dependencies, tenant, limits and so on for this part of the work.

        Raises:
            UnknownRun: If there is no such run here.
            RunBusy: If a live process owns it.
            RunFinished: If it has ended.
            InvalidDecision: If a decision does not answer an open question.
        """
        from ergaster.running import begin_again, finish

        return await finish(await begin_again(self, run_id, decisions, dict(options), force=force, is_streaming=False))

    def resume_stream(
        self, run_id: str, decisions: Sequence[Decision] = (), *, force: bool = False, **options: Unpack[WorkOptions]
    ) -> Iterator[Event]:
        """Continue a run and yield events; see `aresume`. Not for use inside async code."""
        return iterate(lambda: self.aresume_stream(run_id, decisions, force=force, **options))

    async def aresume_stream(
        self, run_id: str, decisions: Sequence[Decision] = (), *, force: bool = False, **options: Unpack[WorkOptions]
    ) -> AsyncIterator[Event]:
        """Continue a run and yield what happens from there; see `aresume`."""
        from ergaster.running import begin_again, work

        run = await begin_again(self, run_id, decisions, dict(options), force=force, is_streaming=True)
        async with Closing(work(run)) as events:
            async for event in events:
                yield event

    def follow(self, run_id: str, *, after: int = 0, tenant: str = "default") -> Iterator[Event]:
        """Replay a run's durable events and go on with those to come; see `afollow`. Not for use inside async code."""
        return iterate(lambda: self.afollow(run_id, after=after, tenant=tenant))

    async def afollow(self, run_id: str, *, after: int = 0, tenant: str = "default") -> AsyncIterator[Event]:
        """Yield a run's durable events from the storage, from any process, and then those to come as they are written.

        It ends with the event that the run stands at: completed, failed, cancelled or paused; a reader that has this
        event already gets nothing. Deltas are not kept, so they are seen by the reader of `astream` only. A run whose
        process died is silent until it is resumed.

        Args:
            run_id: The run.
            after: The `seq` of the last durable event that the reader has; 0 for all.
            tenant: Whose run it is.

        Raises:
            UnknownRun: If there is no such run.
            InvalidInput: If the run has no event of the number *after*.
            Unsupported: Without a storage.
        """
        from ergaster.journal import follow_journal

        plan = await self.plan()
        if plan.storage is None:
            raise Unsupported(f"{self.name} has no storage to read runs from; give it one with storage=…")
        async with Closing(follow_journal(plan.storage, tenant, run_id, after=after)) as events:
            async for event in events:
                event.path = (self.name,)
                yield event

    def cancel(self, run_id: str, reason: str = "", *, tenant: str = "default") -> bool:
        """Cancel a run; see `acancel`. Not for use inside async code."""
        return wait(self.acancel(run_id, reason, tenant=tenant))

    async def acancel(self, run_id: str, reason: str = "", *, tenant: str = "default") -> bool:
        """Cancel a run of any process that shares the storage; after this returns no step of it starts.

        Returns:
            False if the run had ended already. A run that has not begun is cancelled before its start.
        """
        from ergaster.running import cancel

        return await cancel(self, run_id, reason, tenant)

    async def aopen(self) -> Self:
        """Load the plugins and open what they need now, not at the first run; returns the agent."""
        await (await self.plan()).open()
        return self

    async def aclose(self) -> None:
        """Close the toolkits and features; the next run opens them again."""
        if self._plan is not None:
            await self._plan.close()

    async def __aenter__(self) -> Self:
        return await self.aopen()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
