"""Responses: requests to bytes."""

from __future__ import annotations

from itertools import groupby

from attrs import define, field

from ergaster.contracts.model import Capabilities, ModelRequest, ModelSettings, ToolSpec
from ergaster.errors import BadRequest, Unsupported
from ergaster.messages import File, Image, Json, JsonObject, Media, Message, Part, Reasoning, Text, ToolCall, ToolResult
from ergaster_support_openai_wire._checks import DEFAULT_LIMITS, Limits, check_media, check_request, check_settings
from ergaster_support_openai_wire._fragments import Fragment, FragmentCache, ToolsCache, measure
from ergaster_support_openai_wire._json import dump, join_object, quote, to_bytes
from ergaster_support_openai_wire._media import base64_text, data_url
from ergaster_support_openai_wire._strict import fits_strict

__all__ = ["ResponsesEncoder"]


@define(eq=False)
class ResponsesEncoder:
    """Turns requests to one model into bodies of Responses.

    Attributes:
        provider: The plugin's name; only state of this provider is replayed.
        model: The model's name.
        capabilities: What the model can do; the rest is refused before anything is sent.
        limits: The largest request.
        stateful: Whether the provider keeps the conversation, so that only what is new is sent.
        background: Whether the provider works on it without an open connection.
        summary: How detailed the summaries of reasoning are: `auto`, `concise`, `detailed`, or None for none.
        strict_tools: Whether `strict` goes with tools whose schemas fit the strict rules.
        native_tools: Tools of the provider's own, as the protocol writes them.
    """

    provider: str
    model: str
    capabilities: Capabilities = field(factory=Capabilities)
    limits: Limits = DEFAULT_LIMITS
    stateful: bool = field(default=False, kw_only=True)
    background: bool = field(default=False, kw_only=True)
    summary: str | None = field(default=None, kw_only=True)
    strict_tools: bool = field(default=False, kw_only=True)
    native_tools: tuple[JsonObject, ...] = field(default=(), kw_only=True)
    _messages: FragmentCache = field(init=False, repr=False)
    _tools: ToolsCache = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._messages = FragmentCache(self._message)
        self._tools = ToolsCache(self._tool)

    @property
    def origin(self) -> str:
        """What errors call this model."""
        return f"{self.provider}:{self.model}"

    def encode(self, request: ModelRequest, settings: ModelSettings, *, stream: bool = False) -> bytes:
        """Return the body for *request*; *settings* are those of the model and of the request together.

        Raises:
            Unsupported: If the request needs what the model or the protocol has not.
            BadRequest: If a value is out of bounds.
        """
        check_request(request, self.capabilities, self.limits, self.origin)
        fields = {"model": quote(self.model)}
        self._add_conversation(fields, request.messages)
        # A provider that keeps nothing gives the reasoning to us, encrypted; work in the background has to be kept.
        keeps = self.stateful or self.background
        fields["store"] = dump(keeps)
        if not keeps and self.capabilities.reasoning:
            fields["include"] = '["reasoning.encrypted_content"]'
        if self.background:
            fields["background"] = "true"
        if stream:
            fields["stream"] = "true"
        self._add_tools(fields, request, settings)
        if request.output_schema is not None:
            fields["text"] = dump({"format": _schema(request.output_name, request.output_schema)})
        self._add_settings(fields, settings)
        return to_bytes(join_object(fields))

    def _add_conversation(self, fields: dict[str, str], messages: tuple[Message, ...]) -> None:
        leading = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
        if leading:
            fields["instructions"] = quote("\n\n".join(message.text for message in messages[:leading]))
        start = leading
        if self.stateful:
            for index in range(len(messages) - 1, leading - 1, -1):
                if response_id := self._own(messages[index]).get("response_id"):
                    fields["previous_response_id"] = quote(response_id)
                    start = index + 1
                    break
        fragments = [self._messages.get(message) for message in messages[start:]]
        measure(fragments, self.limits)
        fields["input"] = f"[{','.join([fragment.items for fragment in fragments if fragment.items])}]"

    def _add_tools(self, fields: dict[str, str], request: ModelRequest, settings: ModelSettings) -> None:
        native = [dump(tool) for tool in self.native_tools]
        if not request.tools and not native:
            return
        own = self._tools.get(request.tools)[1:-1] if request.tools else ""
        fields["tools"] = f"[{','.join([*([own] if own else []), *native])}]"
        choice = request.tool_choice
        if choice in {"none", "required"}:
            fields["tool_choice"] = quote(choice)
        elif choice != "auto":
            fields["tool_choice"] = f'{{"type":"function","name":{quote(choice)}}}'
        if settings.parallel_tool_calls is not None:
            fields["parallel_tool_calls"] = dump(settings.parallel_tool_calls)

    def _add_settings(self, fields: dict[str, str], settings: ModelSettings) -> None:
        check_settings(settings)
        if settings.stop:
            raise Unsupported("Responses has no stop texts; leave stop out, or use the Chat Completions API")
        if settings.seed is not None:
            raise Unsupported("Responses has no seed; leave seed out, or use the Chat Completions API")
        if settings.max_tokens is not None:
            fields["max_output_tokens"] = str(settings.max_tokens)
        if settings.temperature is not None:
            fields["temperature"] = dump(settings.temperature)
        if settings.top_p is not None:
            fields["top_p"] = dump(settings.top_p)
        reasoning = {"effort": settings.reasoning_effort, "summary": self.summary}
        if given := {name: value for name, value in reasoning.items() if value is not None}:
            fields["reasoning"] = dump(given)
        for name, value in settings.extra_body.items():
            fields[name] = dump(value)

    def _tool(self, tool: ToolSpec) -> str:
        facts: dict[str, Json] = {"type": "function", "name": tool.name, "description": tool.description}
        # Without the field this protocol takes every schema as strict.
        strict = self.strict_tools and fits_strict(tool.parameters)
        return dump({**facts, "parameters": tool.parameters, "strict": strict})

    def _own(self, message: Message) -> JsonObject:
        own = message.provider_data.get(self.provider)
        return own if isinstance(own, dict) else {}

    def _message(self, message: Message) -> Fragment:
        for part in message.parts:
            if isinstance(part, Text) and len(part.text) > self.limits.body_bytes:
                raise BadRequest(f"a text of {len(part.text)} characters exceeds the limit of {self.limits.body_bytes} bytes")
        match message.role:
            case "assistant":
                return self._assistant(message)
            case "tool":
                return self._results(message)
            case role:
                return self._said(role, message)

    def _said(self, role: str, message: Message) -> Fragment:
        media = [part for part in message.parts if isinstance(part, Media)]
        texts = [part for part in message.parts if isinstance(part, Text)]
        if not media and len(texts) <= 1:
            return Fragment(f'{{"role":"{role}","content":{quote(message.text)}}}')
        content = [self._content(part) for part in message.parts if isinstance(part, Text | Media)]
        return Fragment(f'{{"role":"{role}","content":[{",".join(content)}]}}', media=len(media))

    def _content(self, part: Text | Media) -> str:
        if isinstance(part, Text):
            return f'{{"type":"input_text","text":{quote(part.text)}}}'
        check_media(part, self.capabilities, self.limits, self.origin)
        if isinstance(part, Image):
            return f'{{"type":"input_image","image_url":{quote(data_url(part))}}}'
        if not isinstance(part, File):
            raise Unsupported(f"Responses takes no {type(part).__name__}; use the Chat Completions API for it")
        if part.url is not None:
            return f'{{"type":"input_file","file_url":{quote(part.url)}}}'
        name = quote(part.name or "document")
        return f'{{"type":"input_file","filename":{name},"file_data":{quote(data_url(part))}}}'

    def _assistant(self, message: Message) -> Fragment:
        output = self._own(message).get("output")
        if isinstance(output, list) and _calls_in(output) == {call.id for call in message.tool_calls}:
            return Fragment(",".join([dump(item) for item in output]))
        items: list[str] = []
        for (kind, _), group in groupby(message.parts, key=_item_key):
            parts = list(group)
            if kind is Text:
                text = "".join(part.text for part in parts if isinstance(part, Text))
                items.append(f'{{"role":"assistant","content":{quote(text)}}}')
            elif kind is Reasoning:
                items += self._reasoning([part for part in parts if isinstance(part, Reasoning)])
            elif kind is ToolCall:
                items += [_call(part) for part in parts if isinstance(part, ToolCall)]
            elif kind is Image:
                items += [_generated(part) for part in parts if isinstance(part, Image)]
        return Fragment(",".join(items), media=sum(isinstance(part, Media) for part in message.parts))

    def _reasoning(self, parts: list[Reasoning]) -> list[str]:
        """Return one item of reasoning, if it may go back: it needs the provider's own proof."""
        signature = next((part.signature for part in parts if part.signature), None)
        if parts[0].provider != self.provider or signature is None:
            return []
        summary = [{"type": "summary_text", "text": part.text} for part in parts if part.text]
        item = {"type": "reasoning", "id": parts[0].id, "summary": summary, "encrypted_content": signature}
        return [dump({name: value for name, value in item.items() if value is not None})]

    def _results(self, message: Message) -> Fragment:
        items, count = [], 0
        for part in message.parts:
            if not isinstance(part, ToolResult):
                raise BadRequest(f"a message of the role 'tool' holds a {type(part).__name__}; it takes tool results only")
            output = quote(part.content)
            if part.media:
                count += len(part.media)
                output = f"[{','.join([self._content(item) for item in (Text(part.content), *part.media)])}]"
            items.append(f'{{"type":"function_call_output","call_id":{quote(part.call_id)},"output":{output}}}')
        return Fragment(",".join(items), media=count)


def _item_key(part: Part) -> tuple[type, str | None]:
    """Parts of one item stand together: texts, and reasoning of one id."""
    return type(part), part.id if isinstance(part, Reasoning) else None


def _calls_in(output: list[JsonObject]) -> set[str]:
    return {item["call_id"] for item in output if item.get("type") == "function_call" and "call_id" in item}


def _call(call: ToolCall) -> str:
    name, arguments = quote(call.name), quote(call.arguments)
    return f'{{"type":"function_call","call_id":{quote(call.id)},"name":{name},"arguments":{arguments}}}'


def _generated(image: Image) -> str:
    """Return a picture that the model made, as the item that it was."""
    if image.data is None or not image.name:
        return f'{{"role":"assistant","content":{quote("[picture]")}}}'
    return dump({"type": "image_generation_call", "id": image.name, "status": "completed", "result": base64_text(image)})


def _schema(name: str, schema: JsonObject) -> JsonObject:
    return {"type": "json_schema", "name": name, "schema": schema, "strict": fits_strict(schema)}
