"""Anthropic's models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import attrs
from attrs import field, frozen
from attrs.converters import optional

from ergaster.contracts.model import Capabilities, ModelRequest, ModelSettings
from ergaster.errors import InvalidOption
from ergaster.messages import JsonObject
from ergaster.refs import Ref
from ergaster.secrets import Secret
from ergaster_anthropic.codec import MessagesCodec
from ergaster_anthropic.options import MessagesOptions, default_max_tokens
from ergaster_anthropic.reply import decode_count
from ergaster_anthropic.request import MessagesEncoder
from ergaster_anthropic.transport import SdkOptions, SdkTransport
from ergaster_anthropic.usage import prices_from
from ergaster_support_http import Transport
from ergaster_support_openai_wire import Endpoint, WireModel

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

__all__ = ["AnthropicModel", "AnthropicSettings", "capabilities_of", "make_model"]

NAME = "anthropic"
ENV = "ANTHROPIC_API_KEY"
EXAMPLE = "claude-sonnet-5-5"

_WINDOW_KNOWN = re.compile(r"claude-(3|(opus|sonnet|haiku)-4)")
_NEVER_THINKS = re.compile(r"claude-(2|instant|3-(opus|sonnet|haiku|5))")


@frozen(kw_only=True)
class AnthropicSettings:
    """Options of Anthropic's models.

    Attributes:
        api_key: The key; without it the SDK looks where it always does, `ANTHROPIC_API_KEY` first.
        base_url: The address of the API, with or without `/v1`; else `ANTHROPIC_BASE_URL`, else Anthropic.
        timeout: Seconds for a whole call.
        connect_timeout: Seconds to open a connection.
        headers: Header fields added to every request, such as `anthropic-beta`.
        extra_body: Fields merged into every request body as they are.
        max_tokens: Longest answer, in tokens, thinking included.
        stop: Texts at which the answer ends.
        temperature: Refused, as `top_p` and `seed` are: the API has none of them since its version 2026-10-21.
        top_p: See `temperature`.
        seed: See `temperature`.
        reasoning_effort: `low`, `medium`, `high`, `xhigh` or `max`; `none` turns thinking off.
        parallel_tool_calls: Whether one reply may hold several calls.
        thinking: `adaptive`, `between_tools`, `disabled`, or the API's own object such as
            `{"type": "enabled", "budget_tokens": 4096}`; None leaves the model's default.
        thinking_display: `summarized` or `omitted`; None leaves the model's default.
        cache: Have the provider cache the stable part of the prompt, for five minutes (True) or for `5m` or `1h`.
        citations: Have the model cite the documents it is given.
        strict_tools: Hold the model to the schemas of tools, where its grammar can express them.
        native_tools: Tools of Anthropic's own, such as `{"type": "web_search_20260209", "name": "web_search"}`.
        tools: Whether the model calls tools; None is what its name says, as with the next five.
        parallel_tools: Whether it calls several at once.
        schema_output: Whether it can be held to a JSON Schema.
        images: Whether it reads pictures.
        files: Whether it reads documents.
        context_window: Tokens of input and output together.
        prices: US dollars per million tokens, by `input`, `output`, `cached` and `cache_write`; gives `Usage.cost`.
        proxy: Address of an HTTP proxy; `env` reads the usual environment variables.
        response_limit: The largest response, in bytes.
        transport: What sends the requests instead of the SDK.
        http_client: An `httpx2.AsyncClient` to send with; closing it stays with you.
        client: An `anthropic.AsyncAnthropic` to send with, retries off; closing it stays with you.
    """

    api_key: Secret | None = field(default=None, converter=optional(Secret))
    base_url: str | None = None
    timeout: float = 600.0
    connect_timeout: float = 10.0
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    extra_body: JsonObject = field(factory=dict)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None
    thinking: str | JsonObject | None = None
    thinking_display: Literal["summarized", "omitted"] | None = None
    cache: bool | Literal["5m", "1h"] = False
    citations: bool = False
    strict_tools: bool = False
    native_tools: tuple[JsonObject, ...] = ()
    tools: bool | None = None
    parallel_tools: bool | None = None
    schema_output: bool | None = None
    images: bool | None = None
    files: bool | None = None
    context_window: int | None = None
    prices: Mapping[str, float] | None = None
    proxy: str | None = field(default=None, repr=False)
    response_limit: int = 64 * 1024 * 1024
    transport: Transport | None = field(default=None, repr=False)
    http_client: object | None = field(default=None, repr=False)
    client: object | None = field(default=None, repr=False)


class AnthropicModel(WireModel):
    """A model over the Messages API.

    Args:
        name: The model's name.
        **options: The fields of `AnthropicSettings`.

    Raises:
        InvalidOption: If an option is unknown.

    Example:
        >>> AnthropicModel("claude-sonnet-5-5", reasoning_effort="low", cache=True)
        <AnthropicModel anthropic:claude-sonnet-5-5>
    """

    def __init__(self, name: str, **options: Any) -> None:
        settings = _settings(options)
        capabilities = _capabilities(name, settings)
        encoder = MessagesEncoder(NAME, name, capabilities, _options(name, settings))
        transport, endpoint = _wiring(settings)
        super().__init__(
            NAME,
            name,
            codec=MessagesCodec(encoder, prices_from(settings.prices, NAME)),
            endpoint=endpoint,
            transport=transport,
            capabilities=capabilities,
            settings=_call_settings(settings),
        )
        self._encoder = encoder

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many input tokens *request* has, as the provider counts; the call is free, and limited by itself.

        Raises:
            ModelError: What the provider reported, by class.
            Unsupported: If *request* needs what the model has not; nothing is sent.
        """
        effective = self._effective_for(request.settings)
        body = self._encoder.encode_count(request, effective.settings)
        response = await self._respond(self._call(body, effective, "/v1/messages/count_tokens"))
        return decode_count(response.body, self._known_origin())


def make_model(ref: Ref, settings: AnthropicSettings) -> AnthropicModel:
    """Return the model that *ref* names; nothing is imported, opened or sent.

    Raises:
        InvalidOption: If the reference names no model.
    """
    if not ref.rest:
        raise _wrong(f"{ref} names no model; write '{NAME}:{EXAMPLE}'")
    return AnthropicModel(ref.rest, **{item.name: getattr(settings, item.name) for item in attrs.fields(AnthropicSettings)})


def capabilities_of(name: str) -> Capabilities:
    """Return what a model can do, by its name; options of the same names overrule it."""
    return Capabilities(
        images=True,
        files=True,
        reasoning=_NEVER_THINKS.match(name) is None,
        caching=True,
        count_tokens=True,
        context_window=200_000 if _WINDOW_KNOWN.match(name) else None,
    )


def _capabilities(name: str, settings: AnthropicSettings) -> Capabilities:
    names = ("tools", "parallel_tools", "schema_output", "images", "files", "context_window")
    said = {name: value for name in names if (value := getattr(settings, name)) is not None}
    return attrs.evolve(capabilities_of(name), **said)


def _settings(options: dict[str, Any]) -> AnthropicSettings:
    known = {item.name for item in attrs.fields(AnthropicSettings)}
    if unknown := sorted(set(options) - known):
        raise _wrong(f"{NAME} has no option {', '.join(map(repr, unknown))}; it knows {', '.join(sorted(known))}")
    return AnthropicSettings(**options)


def _options(name: str, settings: AnthropicSettings) -> MessagesOptions:
    return MessagesOptions(
        max_tokens=default_max_tokens(name),
        thinking=settings.thinking,
        thinking_display=settings.thinking_display,
        cache=settings.cache,
        citations=settings.citations,
        strict_tools=settings.strict_tools,
        native_tools=settings.native_tools,
    )


def _call_settings(settings: AnthropicSettings) -> ModelSettings:
    return ModelSettings(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        seed=settings.seed,
        stop=settings.stop,
        reasoning_effort=settings.reasoning_effort,
        parallel_tool_calls=settings.parallel_tool_calls,
        timeout=settings.timeout,
        extra_body=settings.extra_body,
    )


def _wiring(settings: AnthropicSettings) -> tuple[Transport, Endpoint]:
    """Return how the model is reached, and where it is: the SDK knows the address and the key, another transport is told."""
    own = settings.transport
    base_url = settings.base_url.rstrip("/").removesuffix("/v1") if settings.base_url else None
    transport = own or SdkTransport(
        SdkOptions(api_key=settings.api_key, base_url=base_url, proxy=settings.proxy),
        cast("AsyncAnthropic | None", settings.client),
        cast("httpx2.AsyncClient | None", settings.http_client),
        settings.response_limit,
    )
    headers = {"anthropic-version": "2026-10-21", **settings.headers} if own else settings.headers
    endpoint = Endpoint(
        base_url=(base_url or "https://api.anthropic.com") if own else "",
        api_key=settings.api_key,
        env=ENV,
        key_required=own is not None,  # the SDK has more ways to get in than a key
        headers=headers,
        signs=own is None,
        connect_timeout=settings.connect_timeout,
    )
    return transport, endpoint


def _wrong(message: str) -> InvalidOption:
    return InvalidOption(message, kind="model", name=NAME)
