"""An agent put together: objects instead of names, bound once so that a run only calls."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import define, field

from ergaster.codec import dump_json
from ergaster.contracts.context import RunContext, ToolContext
from ergaster.contracts.feature import CallModel, CallTool, Feature, RunStream
from ergaster.contracts.model import Delta, Model, ModelRequest, ModelResponse, ModelSettings, ToolSpec
from ergaster.contracts.storage import Storage
from ergaster.contracts.toolkit import Tool, Toolkit, ToolOutput
from ergaster.errors import ConfigError
from ergaster.events import Event
from ergaster.limits import Limits
from ergaster.messages import JsonObject, Message, ToolCall
from ergaster.policy import Policy
from ergaster.schema import Adapter, adapter_for

if TYPE_CHECKING:
    from ergaster.run import Run
    from ergaster.state import RunState

__all__ = ["Instructions", "Plan", "render"]

Instructions: TypeAlias = str | Callable[[RunContext], str] | Callable[[RunContext], Awaitable[str]]

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][\w.-]*)\}")


def render(template: str, context: RunContext) -> str:
    """Replace `${state.key}`, `${dependencies.key}`, `${metadata.key}`, `${user_id}` and `${session_id}`.

    Values are put in as they are and never looked at again: a value that holds a placeholder stays text.

    Raises:
        ConfigError: If a placeholder names something that is not there.
    """

    def value_of(match: re.Match[str]) -> str:
        scope, _, key = match[1].partition(".")
        sources: dict[str, object] = {
            "state": context.session_state,
            "dependencies": context.dependencies,
            "metadata": context.metadata,
        }
        if not key and scope in ("user_id", "session_id", "run_id"):
            return str(getattr(context, scope) or "")
        source: Any = sources.get(scope, {})
        if not key or key not in source:
            raise ConfigError(
                f"the instructions name ${{{match[1]}}}, which this run does not have; known are user_id, session_id, "
                "run_id, state.<key>, dependencies.<key> and metadata.<key>"
            )
        value = source[key]
        return value if isinstance(value, str) else dump_json(value) if scope != "dependencies" else str(value)

    return _PLACEHOLDER.sub(value_of, template)


def _overrides(feature: Feature, method: str) -> bool:
    return getattr(type(feature), method) is not getattr(Feature, method)


def _bound(features: Sequence[Feature], method: str) -> tuple[Any, ...]:
    return tuple(getattr(feature, method) for feature in features if _overrides(feature, method))


@define(eq=False)
class Plan:
    """What a run of one agent needs, resolved. Plans are shared by all runs and never change.

    `features` are in the order of their stages; for each point the bound methods of those that override it are kept, so
    that an absent feature costs nothing.
    """

    name: str
    model: Model
    description: str = ""
    tools: dict[str, Tool] = field(factory=dict)
    own_tools: dict[str, Tool] = field(factory=dict)
    tool_factory: Callable[[RunContext], dict[str, Tool]] | None = None
    examples: tuple[Message, ...] = ()
    named_features: dict[str, Feature] = field(factory=dict)
    live: dict[str, Run] = field(factory=dict)
    park: Callable[[RunState, str], None] = field(default=lambda _state, _tenant: None)
    work: Callable[[Run], AsyncIterator[Event]] | None = None
    toolkits: tuple[Toolkit, ...] = ()
    instructions: tuple[Instructions, ...] = ()
    features: tuple[Feature, ...] = ()
    storage: Storage | None = None
    limits: Limits = field(factory=Limits)
    policy: Policy = field(factory=Policy)
    settings: ModelSettings = field(factory=ModelSettings)
    tool_choice: str = "auto"
    output_model: Model | None = None
    input_type: object = None
    output_type: object = None
    resolve: Callable[[str, str, Mapping[str, object] | None], object] | None = None
    tool_cache: dict[str, tuple[float, ToolOutput]] = field(factory=dict)

    specs: tuple[ToolSpec, ...] = field(init=False)
    output: Adapter | None = field(init=False)
    output_schema: JsonObject | None = field(init=False)
    around_run: tuple[Callable[[RunContext, RunStream], AsyncIterator[Event]], ...] = field(init=False)
    around_model: tuple[Callable[..., AsyncIterator[Delta | ModelResponse]], ...] = field(init=False)
    around_tool: tuple[Callable[..., Awaitable[ToolOutput]], ...] = field(init=False)
    instruct: tuple[Callable[[RunContext], Awaitable[str]], ...] = field(init=False)
    prepend: tuple[Callable[[RunContext], Awaitable[Sequence[Message]]], ...] = field(init=False)
    after_run: tuple[Callable[[RunContext], Awaitable[None]], ...] = field(init=False)
    is_open: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.features = tuple(sorted(self.features, key=lambda feature: feature.stage))
        self.specs = tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in self.tools.values())
        self.output = None if self.output_type is None else adapter_for(self.output_type)
        self.output_schema = None if self.output is None else self.output.json_schema
        self.around_run = _bound(self.features, "around_run")
        self.around_model = _bound(self.features, "around_model")
        self.around_tool = _bound(self.features, "around_tool")
        self.instruct = _bound(self.features, "instructions")
        self.prepend = _bound(self.features, "messages")
        self.after_run = _bound(self.features, "after_run")

    async def open(self) -> None:
        """Open the toolkits and features, once."""
        if self.is_open:
            return
        parts: tuple[Toolkit | Feature, ...] = (*self.toolkits, *self.features)
        for part in parts:
            await part.open()
        self.is_open = True

    async def close(self) -> None:
        """Close them, the last opened first."""
        if self.is_open:
            self.is_open = False
            parts: tuple[Toolkit | Feature, ...] = (*self.toolkits, *self.features)
            for part in reversed(parts):
                await part.close()

    def call_model(self, run: Run, innermost: CallModel) -> CallModel:
        """Return the model call with every feature around it, the lowest stage outermost."""
        call = innermost
        for wrap in reversed(self.around_model):
            call = _wrap_model(wrap, run, call)
        return call

    def call_tool(self, context: ToolContext, innermost: CallTool) -> CallTool:
        """Return the tool call with every feature around it, the lowest stage outermost."""
        call = innermost
        for wrap in reversed(self.around_tool):
            call = _wrap_tool(wrap, context, call)
        return call

    def stream_run(self, run: Run, innermost: RunStream) -> RunStream:
        """Return the run with every feature around it, the lowest stage outermost."""
        call = innermost
        for wrap in reversed(self.around_run):
            call = _wrap_run(wrap, run, call)
        return call

    async def system_prompt(self, run: Run) -> str:
        """Return what the model is told before everything else: stable text first, what features add last."""
        texts = [await _instruction(each, run) for each in self.instructions]
        texts += [toolkit.instructions for toolkit in self.toolkits]
        texts += [await instruct(run) for instruct in self.instruct]
        if self.output_schema is not None and self.output_model is None and not self.model.capabilities.schema_output:
            texts.append(f"Answer with one JSON value of this JSON Schema and nothing else:\n{dump_json(self.output_schema)}")
        return "\n\n".join(text for text in texts if text)


async def _instruction(instruction: Instructions, run: Run) -> str:
    if isinstance(instruction, str):
        return render(instruction, run) if "${" in instruction else instruction
    text = instruction(run)
    return text if isinstance(text, str) else await text


def _wrap_model(wrap: Callable[..., AsyncIterator[Delta | ModelResponse]], run: Run, call: CallModel) -> CallModel:
    def wrapped(request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        return wrap(request, run, call)

    return wrapped


def _wrap_tool(wrap: Callable[..., Awaitable[ToolOutput]], context: ToolContext, call: CallTool) -> CallTool:
    def wrapped(tool_call: ToolCall) -> Awaitable[ToolOutput]:
        return wrap(tool_call, context, call)

    return wrapped


def _wrap_run(wrap: Callable[[RunContext, RunStream], AsyncIterator[Event]], run: Run, call: RunStream) -> RunStream:
    def wrapped() -> AsyncIterator[Event]:
        return wrap(run, call)

    return wrapped
