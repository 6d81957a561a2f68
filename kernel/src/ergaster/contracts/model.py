"""The contract of a chat model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from ergaster.errors import Unsupported
from ergaster.messages import JsonObject, Message, StopReason, Usage

__all__ = [
    "Capabilities",
    "Delta",
    "Model",
    "ModelRequest",
    "ModelResponse",
    "ModelSettings",
    "ToolChoice",
    "ToolSpec",
]

ToolChoice: TypeAlias = str
"""`auto`, `none`, `required`, or the name of the one tool to call."""


@frozen
class ToolSpec:
    """A tool as the model sees it.

    Attributes:
        name: Letters, digits, `_` and `-`, at most 64.
        description: When and how to use it, for the model to read.
        parameters: JSON Schema of an object.
    """

    name: str
    description: str
    parameters: JsonObject


@frozen(kw_only=True)
class ModelSettings:
    """Settings of a call; None leaves the provider's own default.

    Attributes:
        max_tokens: Longest answer, in tokens.
        temperature: Spread of the sampling, from 0.
        top_p: Nucleus of the sampling, 0 to 1.
        stop: Texts at which the answer ends.
        seed: For repeatable sampling, where the provider has it.
        reasoning_effort: `none`, `minimal`, `low`, `medium`, `high`, or a word of the provider.
        parallel_tool_calls: Whether one reply may hold several calls.
        timeout: Seconds for the whole call.
        extra_body: Fields merged into the request body as they are.
        extra_headers: Headers added to the request.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None
    timeout: float | None = None
    extra_body: JsonObject = field(factory=dict)
    extra_headers: JsonObject = field(factory=dict, repr=False)


NO_SETTINGS = ModelSettings()


@frozen(kw_only=True)
class ModelRequest:
    """What a model is asked.

    Attributes:
        messages: The conversation; system messages first. Tool calls and results are paired, in order.
        tools: What it may call.
        tool_choice: Whether it may, must or must not.
        output_schema: JSON Schema of the answer; None for free text. Sent only to models that have `schema_output`.
        output_name: A name of that schema: letters, digits, `_`.
        settings: Settings of this call; they win over the model's own.
        model: In a run, the model that is asked; a feature may name another.
        retries: How often a run may try this call again; None leaves it to the run's limits.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    output_schema: JsonObject | None = None
    output_name: str = "output"
    settings: ModelSettings = NO_SETTINGS
    model: Model | None = None
    retries: int | None = None


@frozen(kw_only=True)
class ModelResponse:
    """A whole reply.

    Attributes:
        message: The assistant's message with text, reasoning, tool calls and citations in the order they came.
        stop_reason: Why it ended.
        usage: What it used; zeros when the provider says nothing.
        model: The model that answered, as the provider names it.
        response_id: The provider's name of the reply.
    """

    message: Message
    stop_reason: StopReason = StopReason.STOP
    usage: Usage = field(factory=Usage)
    model: str = ""
    response_id: str | None = None


@define
class Delta:
    """A piece of a reply; pieces of one kind that arrive together may be joined.

    Attributes:
        kind: `text`, `reasoning` or `tool_arguments`.
        text: The piece.
        index: Which tool call of the reply, from 0.
        call_id: The call's id, on every piece of its arguments.
        name: The tool's name, likewise.
    """

    kind: Literal["text", "reasoning", "tool_arguments"]
    text: str
    index: int = 0
    call_id: str = ""
    name: str = ""


@frozen(kw_only=True)
class Capabilities:
    """What a model can do; the kit tests what is claimed, and that the rest raises `Unsupported`.

    Attributes:
        tools: It can call tools.
        parallel_tools: Several in one reply.
        schema_output: It can be held to a JSON Schema.
        images: It reads pictures; likewise `audio`, `video`, `files`.
        reasoning: It can show reasoning.
        caching: The provider caches prompt prefixes.
        count_tokens: `count_tokens()` works.
        context_window: Tokens of input and output together; None when unknown.
    """

    tools: bool = True
    parallel_tools: bool = True
    schema_output: bool = True
    images: bool = False
    audio: bool = False
    video: bool = False
    files: bool = False
    reasoning: bool = False
    caching: bool = False
    count_tokens: bool = False
    context_window: int | None = None


class Model(ABC):
    """A chat model of one provider.

    A model object is cheap, does nothing until it is called, and serves many calls at once, also from several event
    loops. The tool loop and the retries are the kernel's: a model makes one attempt and reports it. Vendor errors
    become `ModelError`s. Closing a stream early closes the connection.
    """

    provider: str
    """The plugin's name."""
    name: str
    """The model's name at the provider."""
    capabilities: Capabilities = Capabilities()

    @abstractmethod
    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Return the whole reply to *request*.

        Raises:
            ModelError: What the provider reported, by class.
            Unsupported: If *request* needs what `capabilities` denies; nothing is sent.
        """

    @abstractmethod
    def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Yield pieces as they arrive, then, as the last item, the whole reply.

        A stream that is cut raises `MalformedReply` or `ProviderUnavailable` and yields no reply.
        """

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many input tokens *request* has, as the provider counts.

        Raises:
            Unsupported: If the provider does not tell.
        """
        raise Unsupported(f"{self.provider} does not count tokens before a call")

    async def close(self) -> None:
        """Release connections; a later call opens them again."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.provider}:{self.name}>"
