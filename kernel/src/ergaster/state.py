"""The state of a run: the fold of its journal, and nothing else.

Resuming, live views, history and `sessions show` all read a run through this fold, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeAlias

from attrs import define, field

from ergaster.events import (
    ApprovalDecided,
    ApprovalRequested,
    Decision,
    ErrorInfo,
    Event,
    MessageAdded,
    ModelCompleted,
    Pending,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunPaused,
    RunResumed,
    RunStarted,
    StateChanged,
    StepCompleted,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
)
from ergaster.messages import Json, JsonObject, Message, StopReason, ToolCall, ToolResult, Usage

__all__ = ["CallState", "RunState", "RunStatus", "fold"]

RunStatus: TypeAlias = Literal["new", "running", "paused", "completed", "failed", "cancelled"]


@define
class CallState:
    """A tool call of the last reply: `epoch` is that of the process that started it, 0 when nobody has."""

    call: ToolCall
    epoch: int = 0
    attempt: int = 0
    result: ToolResult | None = None
    ends_run: bool = False


@define
class RunState:
    """What is known of a run after its entries up to `seq`."""

    run_id: str
    seq: int = 0
    status: RunStatus = "new"
    epoch: int = 0
    owner: str = ""
    owned_at: datetime | None = None
    runnable: str = ""
    session_id: str | None = None
    session_seq: int = 0
    user_id: str | None = None
    parent_run_id: str | None = None
    parent_call_id: str | None = None
    metadata: JsonObject = field(factory=dict)
    input: tuple[Message, ...] = ()
    messages: list[Message] = field(factory=list)
    calls: dict[str, CallState] = field(factory=dict)
    call_ids: set[str] = field(factory=set)
    pending: dict[str, Pending] = field(factory=dict)
    decisions: dict[str, Decision] = field(factory=dict)
    model_calls: list[ModelCompleted] = field(factory=list)
    tool_calls: int = 0
    usage: Usage = field(factory=Usage)
    steps: dict[str, Json] = field(factory=dict)
    feature_states: dict[str, dict[str, Json]] = field(factory=dict)
    session_changes: dict[str, Json] = field(factory=dict)
    repairs: int = 0
    final_calls: int = 0
    output_asked: bool = False
    stop_reason: StopReason = StopReason.STOP
    text: str = ""
    output: Json = None
    error: ErrorInfo | None = None

    @property
    def is_final(self) -> bool:
        """Nothing can be added any more."""
        return self.status in ("completed", "cancelled")

    @property
    def open_calls(self) -> list[CallState]:
        """Tool calls of the last reply that have no result."""
        return [call for call in self.calls.values() if call.result is None]

    @property
    def undecided(self) -> tuple[Pending, ...]:
        """Questions that nobody has answered."""
        return tuple(pending for pending in self.pending.values() if pending.id not in self.decisions)


def fold(state: RunState, events: Iterable[Event]) -> RunState:
    """Apply journal entries, in order, to *state* and return it."""
    for event in events:
        state.seq = event.seq
        if (apply := _APPLY.get(type(event))) is not None:
            apply(state, event)
    return state


def _run_started(state: RunState, event: RunStarted) -> None:
    state.status, state.epoch, state.owner, state.owned_at = "running", event.epoch, event.owner, event.at
    state.runnable, state.input, state.metadata = event.runnable, event.input, event.metadata
    state.session_id, state.session_seq, state.user_id = event.session_id, event.session_seq, event.user_id
    state.parent_run_id, state.parent_call_id = event.parent_run_id, event.parent_call_id
    state.messages.extend(event.input)


def _run_resumed(state: RunState, event: RunResumed) -> None:
    state.status, state.epoch, state.owner, state.owned_at = "running", event.epoch, event.owner, event.at
    state.error = None


def _model_completed(state: RunState, event: ModelCompleted) -> None:
    state.messages.append(event.message)
    state.model_calls.append(event)
    state.usage = state.usage + event.usage
    state.calls = {call.id: CallState(call) for call in event.message.tool_calls}
    state.call_ids.update(state.calls)
    state.stop_reason = event.stop_reason


def _message_added(state: RunState, event: MessageAdded) -> None:
    state.messages.append(event.message)
    state.repairs += event.reason == "repair"
    state.final_calls += event.reason == "limit"
    state.output_asked = state.output_asked or event.reason == "output"


def _tool_started(state: RunState, event: ToolStarted) -> None:
    call = state.calls[event.call.id]
    state.tool_calls += call.attempt == 0
    call.call, call.epoch, call.attempt = event.call, state.epoch, event.attempt


def _tool_finished(state: RunState, event: ToolCompleted | ToolFailed) -> None:
    call = state.calls.get(event.result.call_id)
    if call is None or call.result is not None:
        return
    call.result = event.result
    call.ends_run = isinstance(event, ToolCompleted) and event.ends_run
    _close_turn(state)


def _close_turn(state: RunState) -> None:
    """Once every call has its result, the results become one message, in the order of the calls."""
    if not state.open_calls:
        state.messages.append(Message("tool", tuple(call.result for call in state.calls.values() if call.result)))


def _approval_requested(state: RunState, event: ApprovalRequested) -> None:
    state.pending[event.pending.id] = event.pending


def _approval_decided(state: RunState, event: ApprovalDecided) -> None:
    state.decisions.setdefault(event.decision.pending_id, event.decision)


def _run_paused(state: RunState, _: RunPaused) -> None:
    state.status, state.stop_reason = "paused", StopReason.PAUSE


def _run_completed(state: RunState, event: RunCompleted) -> None:
    state.status, state.text, state.output, state.stop_reason = "completed", event.text, event.output, event.stop_reason


def _run_failed(state: RunState, event: RunFailed) -> None:
    state.status, state.error, state.stop_reason = "failed", event.error, StopReason.ERROR


def _run_cancelled(state: RunState, _: RunCancelled) -> None:
    if state.is_final:
        return
    had_open_calls = bool(state.open_calls)
    for call in state.open_calls:
        call.result = ToolResult(call.call.id, call.call.name, content="The run was cancelled.", is_error=True)
    if had_open_calls:
        _close_turn(state)
    state.status, state.stop_reason = "cancelled", StopReason.CANCELLED


def _state_changed(state: RunState, event: StateChanged) -> None:
    scope, _, name = event.scope.partition(":")
    target = state.session_changes if scope == "session" else state.feature_states.setdefault(name, {})
    target.update(event.changed)
    for key in event.removed:
        target.pop(key, None)


def _step_completed(state: RunState, event: StepCompleted) -> None:
    state.steps[event.name] = event.value


_APPLY: dict[type[Event], Callable[[RunState, Any], None]] = {
    RunStarted: _run_started,
    RunResumed: _run_resumed,
    ModelCompleted: _model_completed,
    MessageAdded: _message_added,
    ToolStarted: _tool_started,
    ToolCompleted: _tool_finished,
    ToolFailed: _tool_finished,
    ApprovalRequested: _approval_requested,
    ApprovalDecided: _approval_decided,
    RunPaused: _run_paused,
    RunCompleted: _run_completed,
    RunFailed: _run_failed,
    RunCancelled: _run_cancelled,
    StateChanged: _state_changed,
    StepCompleted: _step_completed,
}
