"""How a server differs from the protocol, as data."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

__all__ = ["DEFAULT_QUIRKS", "Quirks"]


@frozen(kw_only=True)
class Quirks:
    """Differences of one server; the defaults are what most servers understand.

    Attributes:
        max_tokens_field: The field for the longest answer: OpenAI itself wants `max_completion_tokens`.
        system_role: The role of instructions; OpenAI's newer name is `developer`.
        reasoning_field: The field of a reply in which reasoning is, or the first one of them that is there.
        replay_reasoning: Whether earlier reasoning is sent back, in the first reasoning field. `tool_calls` sends back
            the reasoning that led to tool calls, and only that.
        reasoning_details: Whether replies bring `reasoning_details`, blocks with the upstream provider's proof, which go
            back verbatim in place of the text.
        reasoning_effort: How the effort is sent: as `reasoning_effort`, as OpenRouter's `reasoning` object, as
            a `chat_template_kwargs` switch, or not at all (then it is `Unsupported`).
        schema_output: How an output schema is sent: `json_schema`, `json_object` (valid JSON; the schema goes into the
            instructions), or `none` (only into the instructions).
        strict_schema: Whether `strict` goes with an output schema that fits the strict rules.
        strict_tools: Whether `strict` goes with tools whose schemas fit the strict rules.
        stream_usage: Whether usage has to be asked for with `stream_options`.
        parallel_tool_calls: Whether the server knows the field `parallel_tool_calls`.
        tool_choice_required: Whether it knows `tool_choice: "required"`, and the choice of one tool by name.
        seed: Whether it knows `seed`.
        tool_media: Whether the content of a tool's result may hold pictures; else they follow in a user message.
        empty_content: What stands as the content of an assistant's message that has only tool calls.
    """

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    system_role: Literal["system", "developer"] = "system"
    reasoning_field: tuple[str, ...] = ("reasoning_content", "reasoning")
    replay_reasoning: Literal["never", "tool_calls", "always"] = "never"
    reasoning_details: bool = False
    reasoning_effort: Literal["field", "object", "enable_thinking", "none"] = "field"
    schema_output: Literal["json_schema", "json_object", "none"] = "json_schema"
    strict_schema: bool = True
    strict_tools: bool = False
    stream_usage: bool = True
    parallel_tool_calls: bool = True
    tool_choice_required: bool = True
    seed: bool = True
    tool_media: bool = False
    empty_content: str | None = None


DEFAULT_QUIRKS = Quirks()
