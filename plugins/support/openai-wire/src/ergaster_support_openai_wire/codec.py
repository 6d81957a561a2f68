"""What a model needs from a protocol: bytes out of a request, a reply out of bytes. No I/O anywhere below."""

from __future__ import annotations

from typing import Protocol

from attrs import define

from ergaster.contracts.model import Delta, ModelRequest, ModelResponse, ModelSettings
from ergaster_support_openai_wire.chat_reply import ChatDecoder, decode_chat
from ergaster_support_openai_wire.chat_request import ChatEncoder
from ergaster_support_openai_wire.errors import Origin
from ergaster_support_openai_wire.responses_reply import ResponsesDecoder, decode_responses
from ergaster_support_openai_wire.responses_request import ResponsesEncoder
from ergaster_support_openai_wire.usage import Price

__all__ = ["ChatCodec", "Codec", "Decoder", "ResponsesCodec"]


class Decoder(Protocol):
    """Puts a streamed reply together."""

    @property
    def done(self) -> bool:
        """Whether the server has said that nothing follows."""

    @property
    def is_complete(self) -> bool:
        """Whether the answer has ended, so that a cut behind it loses nothing of it."""

    def feed(self, chunk: bytes) -> list[Delta]:
        """Return the pieces that *chunk* brings."""

    def finish(self) -> ModelResponse:
        """Return the whole reply, at the end of the stream."""


class Codec(Protocol):
    """One protocol, for one model."""

    @property
    def path(self) -> str:
        """The path behind the base URL."""

    def encode(self, request: ModelRequest, settings: ModelSettings, *, stream: bool = False) -> bytes:
        """Return the body of a request."""

    def decode(self, body: bytes, origin: Origin, *, seed: bytes = b"") -> ModelResponse:
        """Return the reply in a body."""

    def decoder(self, origin: Origin, *, seed: bytes = b"") -> Decoder:
        """Return what reads a streamed reply."""


@define(eq=False)
class ChatCodec:
    """Chat Completions.

    Attributes:
        encoder: Encodes requests; it knows the model and its quirks.
        price: The model's price, if known.
        audio_format: The format of sound in replies.
    """

    encoder: ChatEncoder
    price: Price | None = None
    audio_format: str = "wav"
    path: str = "/chat/completions"

    def encode(self, request: ModelRequest, settings: ModelSettings, *, stream: bool = False) -> bytes:
        """Return the body of a request."""
        return self.encoder.encode(request, settings, stream=stream)

    def decode(self, body: bytes, origin: Origin, *, seed: bytes = b"") -> ModelResponse:
        """Return the reply in a body."""
        quirks = self.encoder.quirks
        return decode_chat(body, origin, quirks=quirks, seed=seed, price=self.price, audio_format=self.audio_format)

    def decoder(self, origin: Origin, *, seed: bytes = b"") -> ChatDecoder:
        """Return what reads a streamed reply."""
        return ChatDecoder(origin, self.encoder.quirks, seed, self.price, self.audio_format)


@define(eq=False)
class ResponsesCodec:
    """Responses.

    Attributes:
        encoder: Encodes requests; it knows the model.
        price: The model's price, if known.
    """

    encoder: ResponsesEncoder
    price: Price | None = None
    path: str = "/responses"

    def encode(self, request: ModelRequest, settings: ModelSettings, *, stream: bool = False) -> bytes:
        """Return the body of a request."""
        return self.encoder.encode(request, settings, stream=stream)

    def decode(self, body: bytes, origin: Origin, *, seed: bytes = b"") -> ModelResponse:
        """Return the reply in a body."""
        return decode_responses(body, origin, seed=seed, price=self.price)

    def decoder(self, origin: Origin, *, seed: bytes = b"") -> ResponsesDecoder:
        """Return what reads a streamed reply."""
        return ResponsesDecoder(origin, seed, self.price)
