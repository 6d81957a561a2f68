"""The one family of events: everything that happens in a run.

Durable events are the entries of the run's journal and carry a `seq`; deltas and progress are not kept, and carry
the `seq` of the last durable event before them. Every stream ends with exactly one terminal event: `RunCompleted`,
`RunFailed`, `RunCancelled` or `RunPaused`. SSE, A2A, AG-UI, consoles and traces are mappings of this family.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, Literal, TypeAlias

from attrs import define, field, frozen

from ergaster.errors import InvalidDecision
from ergaster.messages import Citation, Json, JsonObject, Message, StopReason, ToolCall, ToolResult, Usage

__all__ = [
    "EVENT_TYPES",
    "ApprovalDecided",
    "ApprovalRequested",
    "Decision",
    "ErrorInfo",
    "Event",
    "KnowledgeRetrieved",
    "LearningRecalled",
    "LearningSaved",
    "MessageAdded",
    "ModelCompleted",
    "ModelStarted",
    "OutputDelta",
    "Pending",
    "ReasoningDelta",
    "RunCancelled",
    "RunCompleted",
    "RunFailed",
    "RunPaused",
    "RunResumed",
    "RunStarted",
    "StateChanged",
    "StepCompleted",
    "StepRestarted",
    "StepStarted",
    "TextDelta",
    "ToolArgumentsDelta",
    "ToolCompleted",
    "ToolFailed",
    "ToolProgress",
    "ToolStarted",
]


def _now() -> datetime:
    return datetime.now(UTC)


@frozen
class ErrorInfo:
    """An error as data.

    Attributes:
        type: The class name, such as `RateLimited`.
        message: What happened and what to do next.
        can_retry: Whether resuming the run may succeed.
    """

    type: str
    message: str
    can_retry: bool = False


PendingKind: TypeAlias = Literal["confirm", "input", "choice", "external", "approval", "unfinished", "question"]
"""What a paused run waits for: consent to a call; values for a call's missing arguments; one or more of several
options; the result of a call that runs elsewhere; consent by a third person; a word on a call that may have acted
before a crash; an answer to a question that a tool asked."""


@frozen
class Decision:
    """What somebody decided about a pending request.

    Attributes:
        pending_id: The request.
        verdict: `approve`, `reject`, `answer` (values for an input or a choice) or `result` (of an external call).
        value: The values, the choices or the result.
        note: A reason, shown to the model after a rejection.
        decided_by: Who decided; the runtime fills it in.
        arguments_hash: Of the arguments that were shown; a decision on changed arguments is refused.
    """

    pending_id: str
    verdict: Literal["approve", "reject", "answer", "result"]
    value: Json = None
    note: str = ""
    decided_by: str | None = None
    arguments_hash: str | None = None


@frozen
class Pending:
    """A question that a paused run waits for.

    Attributes:
        id: Unique in the run.
        kind: What is asked.
        call: The tool call that it is about, with its exact final arguments.
        question: For a person to read.
        schema: JSON Schema of the wanted answer, for `input`, `choice` and `external`.
        arguments_hash: SHA-256 of the call's name and arguments.
        expires_at: When the question lapses and counts as rejected; None for never.
    """

    id: str
    kind: PendingKind
    call: ToolCall
    question: str = field(default="", kw_only=True)
    schema: JsonObject | None = field(default=None, kw_only=True)
    arguments_hash: str = field(default="", kw_only=True)
    expires_at: datetime | None = field(default=None, kw_only=True)

    def approve(self, note: str = "") -> Decision:
        """Let the call run with the arguments shown."""
        return self._decide("approve", None, note)

    def reject(self, note: str = "") -> Decision:
        """Refuse the call; the model reads the note."""
        return self._decide("reject", None, note)

    def answer(self, value: Json) -> Decision:
        """Give the values or choices that were asked for."""
        if self.kind not in ("input", "choice", "question"):
            raise InvalidDecision(f"{self.id!r} asks for {self.kind}, not for values; use approve() or reject()")
        return self._decide("answer", value, "")

    def result(self, value: Json) -> Decision:
        """Give the result of a call that was carried out elsewhere."""
        if self.kind not in ("external", "unfinished"):
            raise InvalidDecision(f"{self.id!r} asks for {self.kind}, not for a result; use approve() or reject()")
        return self._decide("result", value, "")

    def _decide(self, verdict: Literal["approve", "reject", "answer", "result"], value: Json, note: str) -> Decision:
        return Decision(self.id, verdict, value, note, arguments_hash=self.arguments_hash)


@define(kw_only=True)
class Event:
    """What every event carries.

    Attributes:
        run_id: The run.
        path: Where in the tree it happened, from the outermost runnable inwards: team, member, tool.
        at: When, aware, in UTC.
        seq: For a durable event its own number in the journal, from 1; for another the last durable one's.
        offset: For a delta its number within the step, from 0.
    """

    kind: ClassVar[str] = "event"
    is_durable: ClassVar[bool] = True
    is_terminal: ClassVar[bool] = False

    run_id: str = ""
    path: tuple[str, ...] = ()
    at: datetime = field(factory=_now)
    seq: int = 0
    offset: int = 0


@define(kw_only=True)
class RunStarted(Event):
    """The run's input was accepted and stored. `session_seq` bounds the history that it may see."""

    kind: ClassVar[str] = "run_started"
    runnable: str
    input: tuple[Message, ...]
    epoch: int = 1
    owner: str = ""
    session_id: str | None = None
    session_seq: int = 0
    user_id: str | None = None
    parent_run_id: str | None = None
    parent_call_id: str | None = None
    metadata: JsonObject = field(factory=dict)


@define(kw_only=True)
class RunResumed(Event):
    """A process took the run (again); a higher `epoch` fences every earlier owner."""

    kind: ClassVar[str] = "run_resumed"
    epoch: int
    owner: str = ""


@define(kw_only=True)
class RunPaused(Event):
    """The run waits for decisions, for as long as it takes."""

    kind: ClassVar[str] = "run_paused"
    is_terminal: ClassVar[bool] = True
    pending: tuple[Pending, ...]


@define(kw_only=True)
class RunCompleted(Event):
    """The run has its answer."""

    kind: ClassVar[str] = "run_completed"
    is_terminal: ClassVar[bool] = True
    text: str = ""
    output: Json = None
    stop_reason: StopReason = StopReason.STOP
    usage: Usage = field(factory=Usage)


@define(kw_only=True)
class RunFailed(Event):
    """The run ended with an error; `exception` is the live object, for this process only."""

    kind: ClassVar[str] = "run_failed"
    is_terminal: ClassVar[bool] = True
    error: ErrorInfo
    usage: Usage = field(factory=Usage)
    exception: BaseException | None = field(default=None, repr=False, eq=False, metadata={"wire": False})


@define(kw_only=True)
class RunCancelled(Event):
    """The run was cancelled; no step starts after this."""

    kind: ClassVar[str] = "run_cancelled"
    is_terminal: ClassVar[bool] = True
    reason: str = ""
    usage: Usage = field(factory=Usage)


@define(kw_only=True)
class ModelStarted(Event):
    """A request is about to be sent; a crash from here to its completion costs this one call."""

    kind: ClassVar[str] = "model_started"
    is_durable: ClassVar[bool] = False
    model: str
    call: int = 0


@define(kw_only=True)
class ModelCompleted(Event):
    """The model's reply is here and paid for. Times are in seconds."""

    kind: ClassVar[str] = "model_completed"
    message: Message
    model: str = ""
    stop_reason: StopReason = StopReason.STOP
    usage: Usage = field(factory=Usage)
    response_id: str | None = None
    duration: float = 0.0
    time_to_first_token: float | None = None


@define(kw_only=True)
class TextDelta(Event):
    """More of the answer's text."""

    kind: ClassVar[str] = "text_delta"
    is_durable: ClassVar[bool] = False
    text: str


@define(kw_only=True)
class ReasoningDelta(Event):
    """More of the visible reasoning."""

    kind: ClassVar[str] = "reasoning_delta"
    is_durable: ClassVar[bool] = False
    text: str


@define(kw_only=True)
class ToolArgumentsDelta(Event):
    """More of a tool call's arguments, as JSON text."""

    kind: ClassVar[str] = "tool_arguments_delta"
    is_durable: ClassVar[bool] = False
    text: str
    call_id: str = ""
    name: str = ""
    index: int = 0


@define(kw_only=True)
class OutputDelta(Event):
    """The structured output as far as it has arrived: valid JSON that may lack its end."""

    kind: ClassVar[str] = "output_delta"
    is_durable: ClassVar[bool] = False
    value: Json


@define(kw_only=True)
class ToolStarted(Event):
    """A tool call begins; `idempotency_key` is the same on every try."""

    kind: ClassVar[str] = "tool_started"
    call: ToolCall
    idempotency_key: str = ""
    attempt: int = 1


@define(kw_only=True)
class ToolProgress(Event):
    """What a running tool reports."""

    kind: ClassVar[str] = "tool_progress"
    is_durable: ClassVar[bool] = False
    call_id: str
    name: str = ""
    value: Json = None


@define(kw_only=True)
class ToolCompleted(Event):
    """A tool call gave a result. `ends_run` makes it the run's answer; `shown` asks to show it to the user as it is."""

    kind: ClassVar[str] = "tool_completed"
    result: ToolResult
    duration: float = 0.0
    ends_run: bool = False
    shown: bool = False


@define(kw_only=True)
class ToolFailed(Event):
    """A tool call failed; `result` is what the model reads. `outcome_unknown` says that it may have acted."""

    kind: ClassVar[str] = "tool_failed"
    result: ToolResult
    error: ErrorInfo
    duration: float = 0.0
    outcome_unknown: bool = False


@define(kw_only=True)
class KnowledgeRetrieved(Event):
    """Passages were found for the run."""

    kind: ClassVar[str] = "knowledge_retrieved"
    query: str
    citations: tuple[Citation, ...] = ()


@define(kw_only=True)
class LearningRecalled(Event):
    """Learnings were put in front of the model, by store and id."""

    kind: ClassVar[str] = "learning_recalled"
    items: tuple[str, ...] = ()


@define(kw_only=True)
class LearningSaved(Event):
    """Learnings were written, by store and id."""

    kind: ClassVar[str] = "learning_saved"
    items: tuple[str, ...] = ()


@define(kw_only=True)
class StateChanged(Event):
    """Keys of a state were set or removed; `scope` is `session` or `feature:<name>`."""

    kind: ClassVar[str] = "state_changed"
    scope: str = "session"
    changed: JsonObject = field(factory=dict)
    removed: tuple[str, ...] = ()


@define(kw_only=True)
class StepStarted(Event):
    """A named step of a feature or a workflow begins."""

    kind: ClassVar[str] = "step_started"
    is_durable: ClassVar[bool] = False
    name: str


@define(kw_only=True)
class StepCompleted(Event):
    """A named step gave its value; it is never run again."""

    kind: ClassVar[str] = "step_completed"
    name: str
    value: Json = None


@define(kw_only=True)
class StepRestarted(Event):
    """A step is done again after a crash: drop the deltas that carry `dropped_seq`."""

    kind: ClassVar[str] = "step_restarted"
    is_durable: ClassVar[bool] = False
    dropped_seq: int


@define(kw_only=True)
class ApprovalRequested(Event):
    """A question was put."""

    kind: ClassVar[str] = "approval_requested"
    pending: Pending


@define(kw_only=True)
class ApprovalDecided(Event):
    """A question was decided, once."""

    kind: ClassVar[str] = "approval_decided"
    decision: Decision


@define(kw_only=True)
class MessageAdded(Event):
    """A message that neither the user nor the model wrote: a repair request, a limit notice."""

    kind: ClassVar[str] = "message_added"
    message: Message
    reason: str = ""


EVENT_TYPES: tuple[type[Event], ...] = tuple(
    each for each in dict(globals()).values() if isinstance(each, type) and issubclass(each, Event) and each is not Event
)
"""Every concrete event."""
