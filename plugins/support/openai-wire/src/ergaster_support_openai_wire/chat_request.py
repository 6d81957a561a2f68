"""Chat Completions: requests to bytes."""

from __future__ import annotations

from attrs import define, field

from ergaster.contracts.model import Capabilities, ModelRequest, ModelSettings, ToolSpec
from ergaster.errors import BadRequest, Unsupported
from ergaster.messages import Json, Media, Message, Reasoning, Text, ToolCall, ToolResult
from ergaster_support_openai_wire._checks import DEFAULT_LIMITS, Limits, check_media, check_request, check_settings
from ergaster_support_openai_wire._fragments import Fragment, FragmentCache, ToolsCache, measure
from ergaster_support_openai_wire._json import dump, join_object, quote, to_bytes
from ergaster_support_openai_wire._media import chat_part
from ergaster_support_openai_wire._strict import fits_strict
from ergaster_support_openai_wire.quirks import DEFAULT_QUIRKS, Quirks

__all__ = ["ChatEncoder"]

_SCHEMA_TEXT = "Answer only with JSON, without any other text, that fits this JSON Schema:\n"


@define(eq=False)
class ChatEncoder:
    """Turns requests to one model into bodies of Chat Completions.

    Attributes:
        provider: The plugin's name; only reasoning of this provider is replayed.
        model: The model's name.
        quirks: How the server differs.
        capabilities: What the model can do; the rest is refused before anything is sent.
        limits: The largest request.
    """

    provider: str
    model: str
    quirks: Quirks = DEFAULT_QUIRKS
    capabilities: Capabilities = field(factory=Capabilities)
    limits: Limits = DEFAULT_LIMITS
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
        fields = {"model": quote(self.model), "messages": self._conversation(request)}
        if request.tools:
            self._add_tools(fields, request, settings)
        if request.output_schema is not None:
            self._add_schema(fields, request)
        if stream:
            fields["stream"] = "true"
            if self.quirks.stream_usage:
                fields["stream_options"] = '{"include_usage":true}'
        self._add_settings(fields, settings)
        return to_bytes(join_object(fields))

    def _conversation(self, request: ModelRequest) -> str:
        turns = [(message.role, self._messages.get(message)) for message in request.messages]
        if request.output_schema is not None and self.quirks.schema_output != "json_schema":
            # Behind the leading instructions, so that the stable prefix of the prompt stays as it was.
            position = next((index for index, (role, _) in enumerate(turns) if role != "system"), len(turns))
            text = _SCHEMA_TEXT + dump(request.output_schema)
            turns.insert(position, ("system", Fragment(_item(self.quirks.system_role, quote(text)))))
        measure([fragment for _, fragment in turns], self.limits)
        items: list[str] = []
        waiting: list[str] = []
        for role, fragment in turns:
            if waiting and role != "tool":
                items.append(_item("user", f"[{','.join(waiting)}]"))
                waiting = []
            items.append(fragment.items)
            waiting += fragment.trailing
        if waiting:
            items.append(_item("user", f"[{','.join(waiting)}]"))
        return f"[{','.join([item for item in items if item])}]"

    def _add_tools(self, fields: dict[str, str], request: ModelRequest, settings: ModelSettings) -> None:
        fields["tools"] = self._tools.get(request.tools)
        choice = request.tool_choice
        if choice not in {"auto", "none"} and not self.quirks.tool_choice_required:
            raise Unsupported(f"{self.provider} cannot be made to call a tool; leave tool_choice at 'auto'")
        if choice in {"none", "required"}:
            fields["tool_choice"] = quote(choice)
        elif choice != "auto":
            fields["tool_choice"] = f'{{"type":"function","function":{{"name":{quote(choice)}}}}}'
        if settings.parallel_tool_calls is not None:
            if not self.quirks.parallel_tool_calls:
                raise Unsupported(f"{self.provider} does not know parallel_tool_calls; leave it out")
            fields["parallel_tool_calls"] = dump(settings.parallel_tool_calls)

    def _add_schema(self, fields: dict[str, str], request: ModelRequest) -> None:
        if self.quirks.schema_output == "json_object":
            fields["response_format"] = '{"type":"json_object"}'
        elif self.quirks.schema_output == "json_schema" and request.output_schema is not None:
            schema: dict[str, Json] = {"name": request.output_name, "schema": request.output_schema}
            if self.quirks.strict_schema and fits_strict(request.output_schema):
                schema["strict"] = True
            fields["response_format"] = dump({"type": "json_schema", "json_schema": schema})

    def _add_settings(self, fields: dict[str, str], settings: ModelSettings) -> None:
        check_settings(settings)
        if settings.max_tokens is not None:
            fields[self.quirks.max_tokens_field] = str(settings.max_tokens)
        if settings.temperature is not None:
            fields["temperature"] = dump(settings.temperature)
        if settings.top_p is not None:
            fields["top_p"] = dump(settings.top_p)
        if settings.stop:
            fields["stop"] = dump(list(settings.stop))
        if settings.seed is not None:
            if not self.quirks.seed:
                raise Unsupported(f"{self.provider} has no seed; leave it out")
            fields["seed"] = str(settings.seed)
        if settings.reasoning_effort is not None:
            self._add_effort(fields, settings.reasoning_effort)
        for name, value in settings.extra_body.items():
            fields[name] = dump(value)

    def _add_effort(self, fields: dict[str, str], effort: str) -> None:
        match self.quirks.reasoning_effort:
            case "field":
                fields["reasoning_effort"] = quote(effort)
            case "object":
                fields["reasoning"] = dump({"effort": effort} if effort != "none" else {"enabled": False})
            case "enable_thinking":
                fields["chat_template_kwargs"] = dump({"enable_thinking": effort != "none"})
            case "none":
                raise Unsupported(f"{self.provider} takes no reasoning effort; leave reasoning_effort out")

    def _tool(self, tool: ToolSpec) -> str:
        function: dict[str, Json] = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        if self.quirks.strict_tools and fits_strict(tool.parameters):
            function["strict"] = True
        return dump({"type": "function", "function": function})

    def _message(self, message: Message) -> Fragment:
        for part in message.parts:
            if isinstance(part, Text) and len(part.text) > self.limits.body_bytes:
                raise BadRequest(f"a text of {len(part.text)} characters exceeds the limit of {self.limits.body_bytes} bytes")
        match message.role:
            case "system":
                return Fragment(_item(self.quirks.system_role, quote(message.text)))
            case "user":
                return self._user(message)
            case "assistant":
                return self._assistant(message)
            case _:
                return self._results(message)

    def _user(self, message: Message) -> Fragment:
        texts = [part for part in message.parts if isinstance(part, Text)]
        media = [part for part in message.parts if isinstance(part, Media)]
        if len(texts) <= 1 and not media:
            return Fragment(_item("user", quote(message.text)))
        parts = [
            _text_part(part.text) if isinstance(part, Text) else self._media(part)
            for part in message.parts
            if isinstance(part, Text | Media)
        ]
        return Fragment(_item("user", f"[{','.join(parts)}]"), media=len(media))

    def _media(self, media: Media) -> str:
        check_media(media, self.capabilities, self.limits, self.origin)
        return chat_part(media, self.origin)

    def _assistant(self, message: Message) -> Fragment:
        calls = message.tool_calls
        text = message.text
        fields = {"role": '"assistant"', "content": quote(text) if text or not calls else dump(self.quirks.empty_content)}
        own = message.provider_data.get(self.provider)
        own = own if isinstance(own, dict) else {}
        if self.quirks.reasoning_details and own.get("reasoning_details"):
            fields["reasoning_details"] = dump(own["reasoning_details"])
        elif reasoning := self._replayed(message):
            fields[self.quirks.reasoning_field[0]] = quote(reasoning)
        if calls:
            fields["tool_calls"] = f"[{','.join([_call(call) for call in calls])}]"
        if own.get("audio_id"):
            fields["audio"] = dump({"id": own["audio_id"]})
            return Fragment(join_object(fields))
        media = [part for part in message.parts if isinstance(part, Media)]
        # The protocol has no place for media in an assistant's message; they follow as the user's.
        trailing = (_text_part("From the previous answer:"), *map(self._media, media)) if media else ()
        return Fragment(join_object(fields), trailing, len(media))

    def _replayed(self, message: Message) -> str:
        wanted = self.quirks.replay_reasoning
        if wanted == "never" or (wanted == "tool_calls" and not message.tool_calls):
            return ""
        return "".join(
            part.text for part in message.parts if isinstance(part, Reasoning) and part.provider in {None, self.provider}
        )

    def _results(self, message: Message) -> Fragment:
        items, trailing, count = [], [], 0
        for part in message.parts:
            if not isinstance(part, ToolResult):
                raise BadRequest(f"a message of the role 'tool' holds a {type(part).__name__}; it takes tool results only")
            media = [self._media(item) for item in part.media]
            count += len(media)
            content = quote(part.content)
            if media and self.quirks.tool_media:
                content = f"[{','.join([_text_part(part.content), *media])}]"
            elif media:
                trailing += [_text_part(f"From the tool {part.name}:"), *media]
            items.append(f'{{"role":"tool","tool_call_id":{quote(part.call_id)},"content":{content}}}')
        return Fragment(",".join(items), tuple(trailing), count)


def _item(role: str, content: str) -> str:
    return f'{{"role":"{role}","content":{content}}}'


def _text_part(text: str) -> str:
    return f'{{"type":"text","text":{quote(text)}}}'


def _call(call: ToolCall) -> str:
    function = f'{{"name":{quote(call.name)},"arguments":{quote(call.arguments)}}}'
    return f'{{"id":{quote(call.id)},"type":"function","function":{function}}}'
