"""Messages: requests to bytes."""

from __future__ import annotations

from attrs import define, field

from ergaster.contracts.model import Capabilities, ModelRequest, ModelSettings, ToolSpec
from ergaster.errors import BadRequest, Unsupported
from ergaster.messages import Json, JsonObject, Message, Text
from ergaster_anthropic.blocks import BlockEncoder, text_block
from ergaster_anthropic.options import MessagesOptions
from ergaster_anthropic.schemas import closed, fits_grammar
from ergaster_support_openai_wire import (
    DEFAULT_LIMITS,
    Fragment,
    FragmentCache,
    Limits,
    ToolsCache,
    check_request,
    check_settings,
    dump,
    join_object,
    measure,
    quote,
    to_bytes,
)

__all__ = ["MessagesEncoder"]

_SCHEMA_TEXT = "Answer only with JSON, without any other text, that fits this JSON Schema:\n"
_ASIDE = text_block("From the previous answer:")


@define(eq=False)
class MessagesEncoder:
    """Turns requests to one model into bodies of Messages.

    Attributes:
        provider: The plugin's name; only state of this provider is replayed.
        model: The model's name.
        capabilities: What the model can do; the rest is refused before anything is sent.
        options: What shapes every request.
        limits: The largest request.
    """

    provider: str
    model: str
    capabilities: Capabilities
    options: MessagesOptions = field(factory=MessagesOptions)
    limits: Limits = DEFAULT_LIMITS
    _blocks: BlockEncoder = field(init=False, repr=False)
    _messages: FragmentCache = field(init=False, repr=False)
    _tools: ToolsCache = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._blocks = BlockEncoder(
            self.provider, self.origin, self.capabilities, citations=self.options.citations, limits=self.limits
        )
        self._messages = FragmentCache(self._fragment)
        self._tools = ToolsCache(self._tool)

    @property
    def origin(self) -> str:
        """What errors call this model."""
        return f"{self.provider}:{self.model}"

    def encode(self, request: ModelRequest, settings: ModelSettings, *, stream: bool = False) -> bytes:
        """Return the body for *request*; *settings* are those of the model and of the request together.

        Raises:
            Unsupported: If the request needs what the model or the API has not.
            BadRequest: If a value is out of bounds.
        """
        fields = self._prompt(request, settings)
        fields["max_tokens"] = str(self.options.max_tokens if settings.max_tokens is None else settings.max_tokens)
        if settings.stop:
            fields["stop_sequences"] = dump(list(settings.stop))
        if self.options.native_tools and (container := self._container(request.messages)):
            fields["container"] = quote(container)
        if stream:
            fields["stream"] = "true"
        for name, value in settings.extra_body.items():
            fields[name] = dump(value)
        return to_bytes(join_object(fields))

    def encode_count(self, request: ModelRequest, settings: ModelSettings) -> bytes:
        """Return the body that asks how many input tokens *request* has.

        Raises:
            Unsupported: If the request needs what the model or the API has not.
            BadRequest: If a value is out of bounds.
        """
        return to_bytes(join_object(self._prompt(request, settings)))

    def _prompt(self, request: ModelRequest, settings: ModelSettings) -> dict[str, str]:
        """Return the fields of which the input tokens are made."""
        check_request(request, self.capabilities, self.limits, self.origin)
        self._check(settings)
        fields = {"model": quote(self.model)}
        if tools := self._all_tools(request):
            fields["tools"] = tools
        if system := self._system(request):
            fields["system"] = system
        fields["messages"] = self._conversation(request.messages)
        if choice := _tool_choice(request, settings):
            fields["tool_choice"] = dump(choice)
        self._add_thinking(fields, settings.reasoning_effort)
        self._add_output(fields, request, settings.reasoning_effort)
        return fields

    def _check(self, settings: ModelSettings) -> None:
        check_settings(settings)
        for name in ("temperature", "top_p", "seed"):
            if getattr(settings, name) is not None:
                raise Unsupported(
                    f"{self.provider} takes no {name} since the version 2026-10-21 of its API; leave it out, or use"
                    " extra_body for a server that still knows it"
                )

    def _all_tools(self, request: ModelRequest) -> str:
        items = self._tools.get(request.tools)[1:-1] if request.tools else ""
        for tool in self.options.native_tools:
            items += f"{',' if items else ''}{dump(tool)}"
        return f"[{self._marked(items)}]" if items else ""

    def _tool(self, tool: ToolSpec) -> str:
        value: dict[str, Json] = {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
        if self.options.strict_tools and fits_grammar(tool.parameters):
            value = {**value, "input_schema": closed(tool.parameters), "strict": True}
        return dump(value)

    def _system(self, request: ModelRequest) -> str:
        texts = [
            text_block(part.text)
            for message in request.messages
            if message.role == "system"
            for part in message.parts
            if isinstance(part, Text) and part.text.strip()
        ]
        if request.output_schema is not None and not fits_grammar(request.output_schema):
            texts.append(text_block(_SCHEMA_TEXT + dump(request.output_schema)))
        return f"[{self._marked(','.join(texts))}]" if texts else ""

    def _conversation(self, messages: tuple[Message, ...]) -> str:
        spoken = [(message.role, self._messages.get(message)) for message in messages]
        measure([fragment for _, fragment in spoken], self.limits)
        turns: list[tuple[str, list[str]]] = []
        waiting: list[str] = []

        def add(role: str, items: list[str]) -> None:
            if turns and turns[-1][0] == role:
                turns[-1][1].extend(items)
            elif items:
                turns.append((role, items))

        for role, fragment in spoken:
            items = [fragment.items] if fragment.items else []
            if role == "assistant":
                if waiting:
                    add("user", waiting)
                add("assistant", items)
                waiting = list(fragment.trailing)
            elif role != "system":
                # Results come first in their turn; what an answer held besides follows them.
                add("user", [*items, *waiting] if role == "tool" else [*waiting, *items])
                waiting = []
        if waiting:
            add("user", waiting)
        if not turns:
            raise BadRequest(f"a request to {self.origin} needs at least one message with something in it")
        if turns[-1][0] == "user":
            turns[-1][1][-1] = self._marked(turns[-1][1][-1])
        return f"[{','.join([_turn(role, items) for role, items in turns])}]"

    def _marked(self, blocks: str) -> str:
        """Return *blocks* with the last one marked as the end of a prefix that the cache keeps."""
        cache = self.options.cache
        if not cache or not blocks:
            return blocks
        ttl = f',"ttl":"{cache}"' if isinstance(cache, str) else ""
        return f'{blocks[:-1]},"cache_control":{{"type":"ephemeral"{ttl}}}}}'

    def _fragment(self, message: Message) -> Fragment:
        for part in message.parts:
            if isinstance(part, Text) and len(part.text) > self.limits.body_bytes:
                raise BadRequest(f"a text of {len(part.text)} characters exceeds the limit of {self.limits.body_bytes} bytes")
        match message.role:
            case "system":
                return Fragment("")
            case "assistant":
                items, media = self._blocks.assistant(message)
                return Fragment(",".join(items), (_ASIDE, *media) if media else (), len(media))
            case "tool":
                items, count = self._blocks.results(message)
            case _:
                items, count = self._blocks.user(message)
        return Fragment(",".join(items), media=count)

    def _container(self, messages: tuple[Message, ...]) -> str:
        """Return the container in which the latest answer ran code."""
        for message in reversed(messages):
            own = message.provider_data.get(self.provider)
            if message.role == "assistant" and isinstance(own, dict):
                return str(own.get("container") or "")
        return ""

    def _add_thinking(self, fields: dict[str, str], effort: str | None) -> None:
        thinking = self.options.thinking
        if effort == "none":
            thinking = "disabled"
        if thinking is None:
            return
        value: dict[str, Json] = {"type": thinking} if isinstance(thinking, str) else dict(thinking)
        if self.options.thinking_display and value.get("type") in {"adaptive", "enabled"}:
            value.setdefault("display", self.options.thinking_display)
        fields["thinking"] = dump(value)

    def _add_output(self, fields: dict[str, str], request: ModelRequest, effort: str | None) -> None:
        config: dict[str, Json] = {}
        if effort not in {None, "none"}:
            config["effort"] = "low" if effort == "minimal" else effort
        if request.output_schema is not None and fits_grammar(request.output_schema):
            config["format"] = {"type": "json_schema", "schema": closed(request.output_schema)}
        if config:
            fields["output_config"] = dump(config)


def _turn(role: str, items: list[str]) -> str:
    return f'{{"role":"{role}","content":[{",".join(items)}]}}'


def _tool_choice(request: ModelRequest, settings: ModelSettings) -> JsonObject | None:
    if not request.tools:
        return None
    one_by_one = {"disable_parallel_tool_use": True} if settings.parallel_tool_calls is False else {}
    match request.tool_choice:
        case "auto":
            return {"type": "auto", **one_by_one} if one_by_one else None
        case "none":
            return {"type": "none"}
        case "required":
            return {"type": "any", **one_by_one}
        case name:
            return {"type": "tool", "name": name, **one_by_one}
