"""The run loop: build the request, call the model, run its tool calls, until there is an answer.

What comes next is read from the run's state alone, so that a resumed run goes the same way as one that was never
interrupted. Abilities do not live here: they are features.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from operator import is_
from time import monotonic, perf_counter

from attrs import evolve

from ergaster.calls import run_tools
from ergaster.codec import dump_json
from ergaster.contracts.context import Resolve, Turn
from ergaster.contracts.model import Delta, Model, ModelRequest, ModelResponse
from ergaster.contracts.strategy import Strategy, TeamView
from ergaster.errors import (
    InvalidInput,
    InvalidOutput,
    LimitReached,
    ModelError,
    RunCancelledError,
    RunError,
    RunFenced,
    RunFinished,
)
from ergaster.events import (
    ErrorInfo,
    Event,
    MessageAdded,
    ModelCompleted,
    ModelStarted,
    OutputDelta,
    ReasoningDelta,
    RunCancelled,
    RunCompleted,
    RunFailed,
    StepRestarted,
    TextDelta,
    ToolArgumentsDelta,
)
from ergaster.messages import Json, JsonObject, Message, Part, Reasoning, StopReason, Text, ToolCall, ToolResult
from ergaster.output import PartialOutput, read_output
from ergaster.run import Closing, Interrupted, Run
from ergaster.sessions import save_run
from ergaster.transcript import repair, unique_call_ids

__all__ = ["execute", "orchestrate", "save_record"]

MAX_TEXT = 1024 * 1024
"""Characters of one text part of a reply that are kept; the rest is cut with a visible mark."""


async def execute(run: Run) -> AsyncIterator[Event]:
    """Work on a run that was claimed and yield its events; the last one is terminal.

    Cancelling the reader, or closing the iterator, leaves the run as its journal has it, to be resumed.
    """
    retries = run.plan.limits.run_retries
    while True:
        try:
            async with Closing(run.plan.stream_run(run, lambda: (run.plan.work or _work)(run))()) as events:
                async for event in events:
                    yield event
                    if event.is_terminal and event.run_id == run.run_id:
                        return
        except (Interrupted, Exception) as error:  # boundary: a run's errors are events
            if retries > 0 and getattr(error, "can_retry", False):
                retries -= 1
                continue
            async for event in _end_with(run, error):
                yield event
        return


async def _end_with(run: Run, error: Exception) -> AsyncIterator[Event]:
    """Turn what ended the run into its terminal event."""
    try:
        if isinstance(error, Interrupted):
            await run.journal.catch_up()
            error = run.interrupt.reason or RunCancelledError("the run was cancelled", run_id=run.run_id)
        if not isinstance(error, RunCancelledError | RunFenced | RunFinished):
            await run.journal.append(_failure(run, error))
            await save_record(run, is_live=False)
            error = RunFinished("failed", run_id=run.run_id)
    except (RunCancelledError, RunFenced, RunFinished) as ended:
        error = ended
    except Exception as broken:  # boundary: the storage failed as well; the stream still ends with one terminal event
        broken.__context__ = error
        run.journal.tell(_failure(run, broken))
    last: Event | None = None
    for event in run.drain():
        last = event
        yield event
    if last is None or not last.is_terminal:
        if isinstance(error, RunCancelledError):
            closing: Event = RunCancelled(usage=run.usage)
        else:
            closing = _failure(run, error)
        closing.run_id, closing.path, closing.seq = run.run_id, run.path, run.state_of_run.seq
        yield closing


def _failure(run: Run, error: Exception) -> RunFailed:
    can_retry = bool(getattr(error, "can_retry", False))
    info = ErrorInfo(type(error).__name__, str(error), can_retry)
    return RunFailed(error=info, usage=run.usage, exception=error)


async def orchestrate(team: TeamView, strategy: Strategy, run: Run) -> AsyncIterator[Event]:
    """Let a strategy work on a run; its own `RunCompleted`, which nobody has journalled, completes the run."""
    await run.interrupt.guard(run.plan.open())
    async with Closing(run.guarded(strategy.orchestrate(team, run.input, run))) as events:
        async for event in events:
            for waiting in run.drain():
                yield waiting
            if isinstance(event, RunCompleted) and event.run_id in ("", run.run_id):
                await run.interrupt.guard(_complete(run, event.text, event.output, event.stop_reason))
                for waiting in run.drain():
                    yield waiting
                return
            yield event
    raise RunError(f"the strategy of {team.name} ended without an answer", run_id=run.run_id)


async def _work(run: Run) -> AsyncIterator[Event]:
    state = run.state_of_run
    await run.interrupt.guard(_prepare(run))
    while True:
        for event in run.drain():
            yield event
        if state.open_calls:
            run.interrupted_at = None  # the attempt of each call that starts says that it is done again
            async with Closing(run_tools(run)) as events:
                async for event in events:
                    yield event
            if state.status == "paused":
                return
            await run.save_states()
            continue
        last = state.messages[-1]
        if (ending := next((call for call in state.calls.values() if call.ends_run), None)) and last.role == "tool":
            result = ending.result or ToolResult(ending.call.id, ending.call.name)
            await run.interrupt.guard(_complete(run, result.content, None, StopReason.STOP))
        elif last.role == "assistant" and state.model_calls and state.model_calls[-1].stop_reason is not StopReason.PAUSE:
            await run.interrupt.guard(_settle_answer(run, last))
        else:
            async with Closing(_call_model(run)) as events:
                async for event in events:
                    yield event
            continue
        if state.status == "completed":
            for event in run.drain():
                yield event
            return


async def _prepare(run: Run) -> None:
    """Build what stands before the run's own messages: the system prompt and what features recall."""
    plan = run.plan
    await plan.open()
    if any(isinstance(value, Resolve) for value in run.dependencies.values()):
        run.dependencies = {name: await _resolved(value, run) for name, value in run.dependencies.items()}
    if plan.tool_factory is not None:
        run.plan = plan = evolve(plan, tools={**plan.tools, **plan.tool_factory(run)}, tool_factory=None)
        plan.is_open = True
    prefix: list[Message] = []
    if plan.instructions or plan.toolkits or plan.instruct or plan.output_schema is not None:
        system = await plan.system_prompt(run)
        if system:
            prefix.append(Message("system", system))
    prefix.extend(plan.examples)
    for prepend in plan.prepend:
        prefix.extend(await prepend(run))
    run.prefix = tuple(prefix)


async def _resolved(value: object, run: Run) -> object:
    if not isinstance(value, Resolve):
        return value
    made = value.make(run)
    return await made if inspect.isawaitable(made) else made


async def _call_model(run: Run) -> AsyncIterator[Event]:
    state, plan = run.state_of_run, run.plan
    is_last = state.final_calls > 0
    if not is_last and (reached := run.budget.exhausted()) is not None:
        if plan.limits.on_limit == "fail" or reached.limit == "seconds":
            raise reached
        await run.journal.append(MessageAdded(message=_limit_notice(reached), reason="limit"))
        is_last = True
    model = plan.output_model if state.output_asked and plan.output_model is not None else plan.model
    writes_output = plan.output_schema is not None and (plan.output_model is None or model is plan.output_model)
    request = ModelRequest(
        messages=repair((*run.prefix, *state.messages)),
        tools=() if is_last or state.output_asked else plan.specs,
        tool_choice=plan.tool_choice,
        output_schema=plan.output_schema if writes_output and model.capabilities.schema_output else None,
        settings=plan.settings,
        model=model,
    )
    if run.interrupted_at is not None:
        run.journal.tell(StepRestarted(dropped_seq=run.interrupted_at))
        run.interrupted_at = None
    run.journal.tell(ModelStarted(model=model.name, call=len(state.model_calls) + 1))
    for event in run.drain():
        yield event
    run.budget.spend(model_calls=1)
    started = perf_counter()
    first: float | None = None
    response: ModelResponse | None = None
    partial = PartialOutput() if writes_output and run.is_streaming else None
    async with Closing(run.guarded(plan.call_model(run, lambda request: _ask(run, request))(request))) as items:
        async for item in items:
            if isinstance(item, ModelResponse):
                response = item
                continue
            if first is None:
                first = perf_counter() - started
            yield _delta_event(run, item)
            if partial is not None and item.kind == "text" and (value := partial.feed(item.text)) is not None:
                run.journal.tell(OutputDelta(value=value))
            for event in run.drain():
                yield event
    if response is None:
        raise ModelError(f"the model {model.name!r} ended its stream without a reply", provider=model.provider)
    run.budget.spend(usage=response.usage)
    await run.interrupt.guard(
        run.journal.append(
            ModelCompleted(
                message=_tidy(response.message, state.call_ids, drop_calls=is_last),
                model=response.model or model.name,
                stop_reason=StopReason.LIMIT if is_last else response.stop_reason,
                usage=response.usage,
                response_id=response.response_id,
                duration=perf_counter() - started,
                time_to_first_token=first,
            )
        )
    )


def _delta_event(run: Run, delta: Delta) -> Event:
    event: Event
    if delta.kind == "text":
        event = TextDelta(text=delta.text)
    elif delta.kind == "reasoning":
        event = ReasoningDelta(text=delta.text)
    else:
        event = ToolArgumentsDelta(text=delta.text, call_id=delta.call_id, name=delta.name, index=delta.index)
    return run.journal.stamp(event)


def _ask(run: Run, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
    """Call the request's model, with the run's retries or those that a feature allows."""
    retries = run.plan.limits.model_retries if request.retries is None else request.retries
    return _attempts(run, request.model or run.plan.model, request, retries)


async def _attempts(run: Run, model: Model, request: ModelRequest, retries: int) -> AsyncIterator[Delta | ModelResponse]:
    """Call the model; what failed for a passing reason before anything was shown is tried again."""
    deadline = monotonic() + run.plan.limits.retry_seconds
    shown = False

    async def once() -> AsyncIterator[Delta | ModelResponse]:
        nonlocal shown
        if not run.is_streaming:
            yield await model.generate(request)
            return
        async with Closing(model.stream(request)) as items:
            async for item in items:
                shown = True
                yield item

    def decide(error: Exception) -> bool | timedelta:
        return False if shown else _retry_wait(error, deadline - monotonic())

    failures: list[ModelError] = []
    try:
        async with Closing(once()) as items:
            async for item in items:
                yield item
    except ModelError as error:
        if retries < 1 or not decide(error):
            raise
        failures.append(error)
    if not failures:
        return
    import stamina

    logging.getLogger("stamina").addHandler(logging.NullHandler())  # it would speak on stderr where nobody configured logging

    # The first try went without the retry library, which a good day never needs; it is told of the failure here.
    context = stamina.retry_context(
        on=decide, attempts=retries + 1, timeout=run.plan.limits.retry_seconds, wait_initial=0.2, wait_max=30.0
    )
    async for attempt in context:
        with attempt:
            if failures:
                raise failures.pop()
            async with Closing(once()) as items:
                async for item in items:
                    yield item


def _retry_wait(error: Exception, left: float) -> bool | timedelta:
    """Say whether a failed model call may be tried again in the seconds that are left, and when if the provider said."""
    if not isinstance(error, ModelError) or not error.can_retry or left <= (error.retry_after or 0):
        return False
    return timedelta(seconds=error.retry_after) if error.retry_after else True  # zero means at once: not in a hot loop


async def _settle_answer(run: Run, message: Message) -> None:
    """Complete the run with the answer, or send it back when it does not fit the output schema."""
    state, plan = run.state_of_run, run.plan
    if plan.output_model is not None and not state.output_asked:
        await run.journal.append(MessageAdded(message=_output_request(plan.output_schema), reason="output"))
        return
    if plan.output is None or state.stop_reason is StopReason.REFUSAL:
        await _complete(run, message.text, None, state.stop_reason)
        return
    try:
        value = read_output(message.text, plan.output)
    except InvalidInput as error:
        if state.repairs >= plan.limits.output_retries or run.budget.exhausted() is not None:
            raise InvalidOutput(
                f"the answer does not fit the output schema after {state.repairs + 1} attempts",
                problems=error.problems or (str(error),),
            ) from error
        text = (
            f"That answer does not fit the required form. {error}\nAnswer again with one corrected JSON value and nothing else."
        )
        await run.journal.append(MessageAdded(message=Message("user", text), reason="repair"))
        return
    await _complete(run, message.text, plan.output.dump(value), state.stop_reason)


def _output_request(schema: JsonObject | None) -> Message:
    form = f" as one JSON value of this JSON Schema and nothing else:\n{dump_json(schema)}" if schema else ", ready to be read"
    return Message("user", f"Write that answer down{form}")


async def _complete(run: Run, text: str, output: Json, stop_reason: StopReason) -> None:
    for after in run.plan.after_run:
        await after(run)
    await run.save_states()
    state = run.state_of_run
    if run.session is not None:
        await run.session.add_turn(
            Turn(run.run_id, run.plan.name, tuple(state.messages), state.user_id, metadata=state.metadata)
        )
    await run.journal.append(RunCompleted(text=text, output=output, stop_reason=stop_reason, usage=state.usage))
    if run.storage is not None:
        await asyncio.gather(save_record(run, is_live=False), _touch_session(run))


async def save_record(run: Run, *, is_live: bool) -> None:
    """Write the run's record as its state has it."""
    if run.storage is not None:
        await save_run(run.storage, run.tenant, run.state_of_run, created_at=run.created_at, is_live=is_live)


async def _touch_session(run: Run) -> None:
    if run.session is not None:
        await run.session.update(finished=run.usage)


def _tidy(message: Message, taken: set[str], *, drop_calls: bool) -> Message:
    """Return the reply as it is kept: unique call ids, bounded texts, and no calls where none were offered."""
    if drop_calls and message.tool_calls:
        message = evolve(message, parts=tuple(part for part in message.parts if part not in message.tool_calls))
    if message.tool_calls:
        message = unique_call_ids(message, taken)
    parts = tuple(_cut(part) for part in message.parts)
    return message if all(map(is_, parts, message.parts)) else evolve(message, parts=parts)


def _cut(part: Part) -> Part:
    if isinstance(part, Text | Reasoning) and len(part.text) > MAX_TEXT:
        return evolve(part, text=f"{part.text[:MAX_TEXT]}\n[… {len(part.text) - MAX_TEXT} characters cut]")
    if isinstance(part, ToolCall) and len(part.arguments) > MAX_TEXT:
        return evolve(part, arguments=part.arguments[:MAX_TEXT])
    return part


def _limit_notice(reached: LimitReached) -> Message:
    return Message(
        "user", f"The limit of {reached.limit.replace('_', ' ')} is reached. Give your final answer now, without tools."
    )
