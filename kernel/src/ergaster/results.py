"""What a run gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ergaster.events import ErrorInfo, ModelCompleted, Pending
from ergaster.messages import Citation, Json, MediaPart, Message, StopReason, Usage
from ergaster.state import RunState, RunStatus

if TYPE_CHECKING:
    from ergaster.plan import Plan

__all__ = ["CallMetrics", "RunResult", "make_result"]


@frozen
class CallMetrics:
    """One model call: seconds and tokens."""

    model: str
    duration: float
    time_to_first_token: float | None
    usage: Usage


@frozen(kw_only=True)
class RunResult:
    """How a run ended.

    Attributes:
        run_id: The run; give it to `resume` or `cancel`.
        session_id: The session; give it to the next run to go on with the conversation.
        status: `completed`, `paused` or `cancelled`. A failed run raises its error instead.
        text: The answer.
        output: The answer as an object of the output schema, whose type only the caller knows; None without one.
        messages: What was said in this run, from the input to the answer.
        usage: What all model calls used.
        stop_reason: Why it stopped.
        pending: What a paused run waits for.
        calls: Each model call.
        metadata: What the caller wrote on the run.
        error: Of a run that failed; only seen where results are looked at later.
    """

    run_id: str
    session_id: str | None = None
    status: RunStatus = "completed"
    text: str = ""
    output: Any = None
    messages: tuple[Message, ...] = field(default=(), repr=False)
    usage: Usage = field(factory=Usage)
    stop_reason: StopReason = StopReason.STOP
    pending: tuple[Pending, ...] = ()
    calls: tuple[CallMetrics, ...] = field(default=(), repr=False)
    metadata: dict[str, Json] = field(factory=dict, repr=False)
    error: ErrorInfo | None = None

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources that the answer names."""
        return tuple(part for message in self.messages for part in message.parts if isinstance(part, Citation))

    @property
    def media(self) -> tuple[MediaPart, ...]:
        """Pictures, sounds, films and files that the model made."""
        made = (message for message in self.messages if message.role == "assistant")
        return tuple(part for message in made for part in message.parts if isinstance(part, MediaPart))

    @property
    def reasoning(self) -> str:
        """What the model let see of its reasoning, all calls together."""
        return "".join(message.reasoning for message in self.messages)

    def __str__(self) -> str:
        return self.text


def make_result(state: RunState, plan: Plan) -> RunResult:
    """Return the result that a run's state stands for."""
    output = None
    if state.output is not None and plan.output is not None:
        output = plan.output.load(state.output)
    return RunResult(
        run_id=state.run_id,
        session_id=state.session_id,
        status=state.status,
        text=state.text,
        output=output,
        messages=tuple(state.messages),
        usage=state.usage,
        stop_reason=state.stop_reason,
        pending=state.undecided if state.status == "paused" else (),
        calls=tuple(_metrics(call) for call in state.model_calls),
        metadata=dict(state.metadata),
        error=state.error,
    )


def _metrics(call: ModelCompleted) -> CallMetrics:
    return CallMetrics(call.model, call.duration, call.time_to_first_token, call.usage)
