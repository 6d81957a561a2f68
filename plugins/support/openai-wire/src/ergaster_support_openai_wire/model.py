"""A model from a codec, an endpoint and a transport."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

from attrs import evolve, field, frozen

from ergaster.contracts.model import (
    NO_SETTINGS,
    Capabilities,
    Delta,
    Model,
    ModelRequest,
    ModelResponse,
    ModelSettings,
)
from ergaster.errors import AuthenticationFailed, MalformedReply, ModelError, ProviderUnavailable
from ergaster.secrets import Secret
from ergaster_support_http import Request, Response, ResponseTooLarge, StreamingResponse, Timeout, Transport, TransportError
from ergaster_support_openai_wire.codec import Codec
from ergaster_support_openai_wire.errors import Origin, error_from_response

__all__ = ["Endpoint", "WireModel"]

END_OF_STREAM_GRACE = 0.5
"""Seconds to wait for the end of the body behind the last event, so that the connection can be used again."""


@frozen(kw_only=True)
class Endpoint:
    """Where a model is, and how to get in.

    Attributes:
        base_url: The address to which the protocol's paths are added.
        api_key: The key; None takes it from `env` at the first call.
        env: The environment variable with the key; empty when there is none.
        key_required: Whether a call without a key is refused here.
        headers: Further header fields for every request.
        signs: Whether the transport adds the key, and who it is, itself.
        connect_timeout: Seconds to open a connection.
    """

    base_url: str
    api_key: Secret | None = None
    env: str = ""
    key_required: bool = True
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    signs: bool = False
    connect_timeout: float = 10.0

    @property
    def key_hint(self) -> str:
        """Where a key is taken from, for errors."""
        return f"the environment variable {self.env} or the option api_key" if self.env else "the option api_key"

    def find_key(self, provider: str, model: str) -> Secret | None:
        """Return the key.

        Raises:
            AuthenticationFailed: If there is none and one is required.
        """
        key = self.api_key or (Secret(os.environ[self.env]) if os.environ.get(self.env) else None)
        if not key and self.key_required:
            raise AuthenticationFailed(
                f"no key for {provider}; set {self.key_hint}", provider=provider, model=model, can_retry=False
            )
        return key


@frozen
class Effective:
    """The settings of a call: the model's own and the request's together."""

    given: ModelSettings
    settings: ModelSettings
    timeout: Timeout


class WireModel(Model):
    """A model that speaks one of the OpenAI protocols.

    Args:
        provider: The plugin's name.
        name: The model's name.
        codec: The protocol.
        endpoint: Where the model is.
        transport: What sends the bytes.
        capabilities: What the model can do.
        settings: The model's own settings; those of a request win.
    """

    def __init__(
        self,
        provider: str,
        name: str,
        *,
        codec: Codec,
        endpoint: Endpoint,
        transport: Transport,
        capabilities: Capabilities,
        settings: ModelSettings = NO_SETTINGS,
    ) -> None:
        self.provider = provider
        self.name = name
        self.capabilities = capabilities
        self._codec = codec
        self._endpoint = endpoint
        self._transport = transport
        self._settings = settings
        self._effective: Effective | None = None
        self._headers: dict[str, str] = {}
        self._origin: Origin | None = None

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Return the whole reply to *request*."""
        effective = self._effective_for(request.settings)
        body = self._codec.encode(request, effective.settings)
        call = self._call(body, effective, self._codec.path)
        return await self._exchange(call, body)

    async def _exchange(self, call: Request, seed: bytes) -> ModelResponse:
        """Send *call* and decode what comes back."""
        response = await self._respond(call)
        try:
            return self._codec.decode(response.body, self._known_origin(), seed=seed)
        except ModelError as error:
            error.request_id = error.request_id or _request_id(response.headers)
            raise

    async def _respond(self, call: Request) -> Response:
        """Send *call* and return the response; one of another status than 2xx is an error."""
        origin = self._known_origin()
        try:
            response = await self._transport.send(call)
        except TransportError as error:
            raise _unavailable(error, origin) from error
        if not 200 <= response.status < 300:
            raise error_from_response(response.status, response.headers, response.body, origin)
        return response

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelResponse, None]:
        """Yield pieces as they arrive, then the whole reply."""
        effective = self._effective_for(request.settings)
        body = self._codec.encode(request, effective.settings, stream=True)
        origin = self._known_origin()
        async with self._opened(self._call(body, effective, self._codec.path)) as response:
            if "json" in response.headers.get("content-type", ""):  # the server ignored the wish for a stream
                reply = self._codec.decode(await response.read(), origin, seed=body)
                for delta in _pieces(reply):
                    yield delta
                yield reply
                return
            decoder = self._codec.decoder(origin, seed=body)
            chunks = response.chunks()
            try:
                async for chunk in chunks:
                    for delta in decoder.feed(chunk):
                        yield delta
                    if decoder.done:
                        await _read_to_end(chunks)
                        break
            except TransportError:
                if not decoder.is_complete:
                    raise
            yield decoder.finish()

    async def close(self) -> None:
        """Release connections; a later call opens them again."""
        await self._transport.close()

    @asynccontextmanager
    async def _opened(self, call: Request) -> AsyncIterator[StreamingResponse]:
        origin = self._known_origin()
        headers: Mapping[str, str] = {}
        try:
            async with self._transport.stream(call) as response:
                headers = response.headers
                if not 200 <= response.status < 300:
                    raise error_from_response(response.status, headers, await response.read(), origin)
                yield response
        except TransportError as error:
            raise _unavailable(error, origin) from error
        except ModelError as error:
            error.request_id = error.request_id or _request_id(headers)
            raise

    def _call(self, body: bytes, effective: Effective, path: str, method: str = "POST") -> Request:
        self._known_origin()
        headers = self._headers
        if effective.settings.extra_headers:
            headers = {**headers, **{name: str(value) for name, value in effective.settings.extra_headers.items()}}
        return Request(self._endpoint.base_url + path, body, headers, method, effective.timeout)

    def _known_origin(self) -> Origin:
        """Return who answers; the first call looks up the key."""
        if self._origin is None:
            endpoint = self._endpoint
            key = endpoint.find_key(self.provider, self.name)
            self._headers = {"content-type": "application/json", **endpoint.headers}
            if not endpoint.signs:
                self._headers.setdefault("user-agent", "ergaster")
            if key and not endpoint.signs:
                self._headers.setdefault("authorization", f"Bearer {key.reveal()}")
            self._origin = Origin(self.provider, self.name, key, endpoint.key_hint)
        return self._origin

    def _effective_for(self, given: ModelSettings) -> Effective:
        """Return *given* over the model's own settings; a run gives the same ones at every step."""
        effective = self._effective
        if effective is None or effective.given is not given:
            settings = _merged(self._settings, given)
            timeout = Timeout(settings.timeout, self._endpoint.connect_timeout)
            effective = self._effective = Effective(given, settings, timeout)
        return effective


def _request_id(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-request-id") or headers.get("request-id")


def _merged(own: ModelSettings, given: ModelSettings) -> ModelSettings:
    if given is NO_SETTINGS:
        return own
    names = ("max_tokens", "temperature", "top_p", "seed", "reasoning_effort", "parallel_tool_calls", "timeout")
    changes = {name: value for name in names if (value := getattr(given, name)) is not None}
    return evolve(
        own,
        **changes,
        stop=given.stop or own.stop,
        extra_body={**own.extra_body, **given.extra_body},
        extra_headers={**own.extra_headers, **given.extra_headers},
    )


def _pieces(reply: ModelResponse) -> list[Delta]:
    """Return a whole reply as the pieces that a stream would have brought."""
    deltas = [Delta("reasoning", reply.message.reasoning)] if reply.message.reasoning else []
    if reply.message.text:
        deltas.append(Delta("text", reply.message.text))
    for index, call in enumerate(reply.message.tool_calls):
        deltas.append(Delta("tool_arguments", call.arguments, index, call.id, call.name))
    return deltas


async def _read_to_end(chunks: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(END_OF_STREAM_GRACE):
            async for _ in chunks:
                pass
    except (TimeoutError, TransportError):
        pass  # the answer is whole; only the connection is lost


def _unavailable(error: TransportError, origin: Origin) -> ModelError:
    kind = MalformedReply if isinstance(error, ResponseTooLarge) else ProviderUnavailable
    return kind(
        f"{origin.provider} did not answer for the model {origin.model!r}: {error}",
        provider=origin.provider,
        model=origin.model,
        can_retry=False if isinstance(error, ResponseTooLarge) else None,
    )
