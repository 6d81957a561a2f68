"""OpenAI's models over its two protocols."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, cast

import attrs
from attrs import field, frozen

from ergaster.contracts.model import Capabilities
from ergaster.errors import InvalidOption
from ergaster.messages import JsonObject
from ergaster.refs import Ref
from ergaster_openai.transport import SdkOptions, SdkTransport
from ergaster_support_openai_wire import (
    BackgroundModel,
    ChatCodec,
    ChatEncoder,
    CompatibleSettings,
    Endpoint,
    Quirks,
    ResponsesCodec,
    ResponsesEncoder,
    WireModel,
    capabilities_with,
    model_settings,
    prices_for,
)

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

__all__ = ["OpenAIChat", "OpenAIResponses", "OpenAISettings", "capabilities_of", "make_model"]

NAME = "openai"
ENV = "OPENAI_API_KEY"
QUIRKS = Quirks(max_tokens_field="max_completion_tokens", reasoning_field=("reasoning_content",))

_REASONS = re.compile(r"(o\d|gpt-[5-9]|gpt-oss|codex)")
_TEXT_ONLY = re.compile(r"gpt-3\.5|o1-mini|o3-mini|gpt-oss")


@frozen(kw_only=True)
class OpenAISettings(CompatibleSettings):
    """Options of OpenAI's models, beyond those of every compatible API.

    Attributes:
        api: `responses`, or `chat` for Chat Completions.
        organization: The organization that is billed; else `OPENAI_ORG_ID`.
        project: The project that is billed; else `OPENAI_PROJECT_ID`.
        reasoning_summary: How detailed summaries of the reasoning are: `auto`, `concise` or `detailed`; Responses only.
        stateful: Let OpenAI keep the conversation and send only what is new; Responses only.
        background: Let OpenAI work without an open connection and ask until it is done; Responses only.
        poll_interval: Seconds between two of these questions.
        strict_tools: Hold the model to the schemas of tools, where they fit the strict rules.
        native_tools: Tools of OpenAI's own, such as `{"type": "image_generation"}`; Responses only.
        audio_output: Voice and format of a spoken answer, such as `{"voice": "alloy", "format": "wav"}`; chat only.
        http_client: An `httpx2.AsyncClient` to send with; closing it stays with you.
        client: An `openai.AsyncOpenAI` (or its Azure twin) to send with, retries off; closing it stays with you.
    """

    api: Literal["responses", "chat"] = "responses"
    organization: str | None = None
    project: str | None = None
    reasoning_summary: str | None = None
    stateful: bool = False
    background: bool = False
    poll_interval: float = 2.0
    strict_tools: bool = False
    native_tools: tuple[JsonObject, ...] = ()
    audio_output: JsonObject | None = None
    http_client: object | None = field(default=None, repr=False)
    client: object | None = field(default=None, repr=False)


class OpenAIResponses(BackgroundModel):
    """A model over the Responses API.

    Args:
        name: The model's name.
        **options: The fields of `OpenAISettings`.

    Raises:
        InvalidOption: If an option is unknown.

    Example:
        >>> OpenAIResponses("gpt-5-mini", reasoning_effort="low")
        <OpenAIResponses openai:gpt-5-mini>
    """

    def __init__(self, name: str, **options: Any) -> None:
        settings = _settings(options, "responses")
        capabilities = capabilities_with(capabilities_of(name), settings)
        encoder = ResponsesEncoder(
            NAME,
            name,
            capabilities,
            stateful=settings.stateful,
            background=settings.background,
            summary=settings.reasoning_summary,
            strict_tools=settings.strict_tools,
            native_tools=settings.native_tools,
        )
        codec = ResponsesCodec(encoder, prices_for(settings.prices, NAME))
        super().__init__(NAME, name, codec=codec, capabilities=capabilities, **_wiring(settings))
        self.in_background = settings.background
        self.poll_interval = settings.poll_interval


class OpenAIChat(WireModel):
    """A model over the Chat Completions API.

    Args:
        name: The model's name.
        **options: The fields of `OpenAISettings`.

    Raises:
        InvalidOption: If an option is unknown, or is one of Responses.
    """

    def __init__(self, name: str, **options: Any) -> None:
        settings = _settings(options, "chat")
        capabilities = capabilities_with(capabilities_of(name, api="chat"), settings)
        quirks = attrs.evolve(settings.quirks or QUIRKS, strict_tools=settings.strict_tools)
        encoder = ChatEncoder(NAME, name, quirks, capabilities)
        sound = str((settings.audio_output or {}).get("format", "wav"))
        codec = ChatCodec(encoder, prices_for(settings.prices, NAME), sound)
        if settings.audio_output:
            body = {"modalities": ["text", "audio"], "audio": settings.audio_output, **settings.extra_body}
            settings = attrs.evolve(settings, extra_body=body)
        super().__init__(NAME, name, codec=codec, capabilities=capabilities, **_wiring(settings))


def make_model(ref: Ref, settings: OpenAISettings) -> WireModel:
    """Return the model that *ref* names; nothing is imported, opened or sent.

    Raises:
        InvalidOption: If the reference names no model, or options do not go together.
    """
    if not ref.rest:
        raise _wrong(f"{ref} names no model; write 'openai:gpt-5-mini'")
    options = {item.name: getattr(settings, item.name) for item in attrs.fields(OpenAISettings)}
    return (OpenAIResponses if settings.api == "responses" else OpenAIChat)(ref.rest, **options)


def capabilities_of(name: str, *, api: str = "responses") -> Capabilities:
    """Return what a model can do, by its name; options of the same names overrule it."""
    reasons = _REASONS.match(name) is not None
    sees = _TEXT_ONLY.match(name) is None
    hears = api == "chat" and "audio" in name
    return Capabilities(images=sees and not hears, files=sees and not hears, audio=hears, reasoning=reasons, caching=True)


def _settings(options: dict[str, Any], api: str) -> OpenAISettings:
    known = {item.name for item in attrs.fields(OpenAISettings)}
    if unknown := sorted(set(options) - known):
        raise _wrong(f"openai has no option {', '.join(map(repr, unknown))}; it knows {', '.join(sorted(known))}")
    settings = OpenAISettings(**{**options, "api": api})
    others = ("audio_output",) if api == "responses" else ("stateful", "background", "native_tools", "reasoning_summary")
    if foreign := [name for name in others if getattr(settings, name)]:
        raise _wrong(f"{', '.join(foreign)} cannot be had over api={api!r}; use the other one of 'responses' and 'chat'")
    return settings


def _wrong(message: str) -> InvalidOption:
    return InvalidOption(message, kind="model", name=NAME)


def _wiring(settings: OpenAISettings) -> dict[str, Any]:
    """Return what the SDK's transport and our own have in common: where the model is, and how it is reached."""
    own = settings.transport
    transport = own or SdkTransport(
        SdkOptions(
            api_key=settings.api_key,
            base_url=settings.base_url,
            organization=settings.organization,
            project=settings.project,
            proxy=settings.proxy,
        ),
        cast("AsyncOpenAI | None", settings.client),
        cast("httpx2.AsyncClient | None", settings.http_client),
        settings.response_limit,
    )
    endpoint = Endpoint(
        # The SDK adds its own base URL in front of the path.
        base_url=(settings.base_url or "https://api.openai.com/v1").rstrip("/") if own else "",
        api_key=settings.api_key,
        env=ENV,
        key_required=settings.client is None,
        headers=settings.headers,
        signs=own is None,
        connect_timeout=settings.connect_timeout,
    )
    return {"endpoint": endpoint, "transport": transport, "settings": model_settings(settings)}
