"""A vendor as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from urllib.parse import urlsplit

from attrs import evolve, field, frozen
from attrs.converters import optional

from ergaster.contracts.model import Capabilities, ModelSettings
from ergaster.errors import InvalidOption
from ergaster.messages import JsonObject
from ergaster.refs import Ref
from ergaster.secrets import Secret
from ergaster_support_http import AiohttpTransport, Transport
from ergaster_support_openai_wire._checks import Limits
from ergaster_support_openai_wire.chat_request import ChatEncoder
from ergaster_support_openai_wire.codec import ChatCodec
from ergaster_support_openai_wire.model import Endpoint, WireModel
from ergaster_support_openai_wire.quirks import Quirks
from ergaster_support_openai_wire.usage import Price

__all__ = ["CompatibleProvider", "CompatibleSettings", "capabilities_with", "model_settings", "prices_for"]


@frozen(kw_only=True)
class CompatibleSettings:
    """Options of a model behind an OpenAI-compatible API.

    Attributes:
        api_key: The key; without it the provider's environment variable is read.
        base_url: The address of the API, mostly ending in `/v1`; without it the provider's own.
        timeout: Seconds for a whole call.
        connect_timeout: Seconds to open a connection.
        headers: Header fields added to every request.
        extra_body: Fields merged into every request body as they are.
        temperature: Spread of the sampling, from 0.
        top_p: Nucleus of the sampling, 0 to 1.
        max_tokens: Longest answer, in tokens.
        stop: Texts at which the answer ends.
        seed: For repeatable sampling, where the provider has it.
        reasoning_effort: `none`, `minimal`, `low`, `medium`, `high`, or a word of the provider.
        parallel_tool_calls: Whether one reply may hold several calls.
        tools: Whether the model calls tools; None is the provider's default, as with the next six.
        parallel_tools: Whether it calls several at once.
        schema_output: Whether it can be held to a JSON Schema.
        images: Whether it reads pictures.
        audio: Whether it reads sound.
        video: Whether it reads films.
        files: Whether it reads documents.
        context_window: Tokens of input and output together.
        prices: US dollars per million tokens, by `input`, `output` and `cached`; gives `Usage.cost`.
        quirks: How the server differs from what the provider's own value says.
        proxy: Address of an HTTP proxy; `env` reads the usual environment variables.
        response_limit: The largest response, in bytes.
        transport: What sends the requests instead of aiohttp; `proxy` and `response_limit` are then its business.
    """

    api_key: Secret | None = field(default=None, converter=optional(Secret))
    base_url: str | None = None
    timeout: float = 600.0
    connect_timeout: float = 10.0
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    extra_body: JsonObject = field(factory=dict)
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None
    tools: bool | None = None
    parallel_tools: bool | None = None
    schema_output: bool | None = None
    images: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    files: bool | None = None
    context_window: int | None = None
    prices: Mapping[str, float] | None = None
    quirks: Quirks | None = None
    proxy: str | None = field(default=None, repr=False)
    response_limit: int = 64 * 1024 * 1024
    transport: Transport | None = field(default=None, repr=False)


@frozen
class CompatibleProvider:
    """A vendor whose API is OpenAI-compatible, as data; call it with a reference and settings to get a model.

    Attributes:
        name: The plugin's name.
        base_url: The vendor's address; empty when the user has to say it.
        env_key: The environment variable that holds the key; empty when there is none.
        quirks: How the server differs from the protocol.
        capabilities: What its models can do, or a function from a model's name to that.
        summary: One line for lists.
        key_required: Whether a call without a key is refused before it is sent.
        example: A model's name, for errors.
        settings: The options.
    """

    name: str
    base_url: str = field(default="", kw_only=True)
    env_key: str = field(default="", kw_only=True)
    quirks: Quirks = field(default=Quirks(), kw_only=True)
    capabilities: Capabilities | Callable[[str], Capabilities] = field(default=Capabilities(), kw_only=True)
    summary: str = field(default="", kw_only=True)
    key_required: bool = field(default=True, kw_only=True)
    example: str = field(default="model", kw_only=True)
    settings: type[CompatibleSettings] = field(default=CompatibleSettings, kw_only=True)

    @property
    def env(self) -> tuple[str, ...]:
        """The environment variables that it reads."""
        return (self.env_key,) if self.env_key else ()

    def __call__(self, ref: Ref, settings: CompatibleSettings | None = None) -> WireModel:
        """Return the model that *ref* names; nothing is opened or sent.

        Raises:
            InvalidOption: If the reference names no model, or there is no usable address.
        """
        settings = settings or CompatibleSettings()
        if not ref.rest:
            raise self._wrong(f"{ref} names no model; write '{self.name}:{self.example}'")
        base_url = self._checked_url(settings.base_url or self.base_url)
        claimed = self.capabilities if isinstance(self.capabilities, Capabilities) else self.capabilities(ref.rest)
        capabilities = capabilities_with(claimed, settings)
        encoder = ChatEncoder(self.name, ref.rest, settings.quirks or self.quirks, capabilities, Limits())
        return WireModel(
            self.name,
            ref.rest,
            codec=ChatCodec(encoder, prices_for(settings.prices, self.name)),
            endpoint=Endpoint(
                base_url=base_url,
                api_key=settings.api_key,
                env=self.env_key,
                key_required=self.key_required,
                headers=settings.headers,
                connect_timeout=settings.connect_timeout,
            ),
            transport=settings.transport or AiohttpTransport(settings.proxy, response_limit=settings.response_limit),
            capabilities=capabilities,
            settings=model_settings(settings),
        )

    def _checked_url(self, url: str) -> str:
        if not url:
            raise self._wrong(f"{self.name} needs the option base_url, such as 'http://127.0.0.1:8080/v1'")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise self._wrong(f"base_url of {self.name} is no http or https address; write it like 'https://host/v1'")
        return url.rstrip("/")

    def _wrong(self, message: str) -> InvalidOption:
        return InvalidOption(message, kind="model", name=self.name)


def capabilities_with(claimed: Capabilities, settings: CompatibleSettings) -> Capabilities:
    """Return *claimed*, changed by what the user says about the model."""
    names = ("tools", "parallel_tools", "schema_output", "images", "audio", "video", "files", "context_window")
    said = {name: value for name in names if (value := getattr(settings, name)) is not None}
    return evolve(claimed, **said) if said else claimed


def model_settings(settings: CompatibleSettings) -> ModelSettings:
    """Return the settings of calls among the options."""
    return ModelSettings(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        stop=settings.stop,
        seed=settings.seed,
        reasoning_effort=settings.reasoning_effort,
        parallel_tool_calls=settings.parallel_tool_calls,
        timeout=settings.timeout,
        extra_body=settings.extra_body,
    )


def prices_for(prices: Mapping[str, float] | None, provider: str) -> Price | None:
    """Return the price table of the options.

    Raises:
        InvalidOption: If it has other entries than `input`, `output` and `cached`, or lacks one of the first two.
    """
    if prices is None:
        return None
    if not {"input", "output"} <= set(prices) <= {"input", "output", "cached"}:
        raise InvalidOption("prices takes input, output and, if known, cached", kind="model", name=provider)
    exact = {name: Decimal(str(value)) for name, value in prices.items()}
    return Price(input=exact["input"], output=exact["output"], cached=exact.get("cached"))
