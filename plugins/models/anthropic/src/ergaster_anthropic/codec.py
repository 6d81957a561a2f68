"""Messages, for one model: bytes out of a request, a reply out of bytes."""

from __future__ import annotations

from attrs import define

from ergaster.contracts.model import ModelRequest, ModelResponse, ModelSettings
from ergaster_anthropic.reply import decode_messages
from ergaster_anthropic.request import MessagesEncoder
from ergaster_anthropic.stream import MessagesDecoder
from ergaster_anthropic.usage import Prices
from ergaster_support_openai_wire import Origin

__all__ = ["MessagesCodec"]


@define(eq=False)
class MessagesCodec:
    """The Messages API.

    Attributes:
        encoder: Encodes requests; it knows the model.
        prices: The model's prices, if known.
    """

    encoder: MessagesEncoder
    prices: Prices | None = None
    path: str = "/v1/messages"

    def encode(self, request: ModelRequest, settings: ModelSettings, *, stream: bool = False) -> bytes:
        """Return the body of a request."""
        return self.encoder.encode(request, settings, stream=stream)

    def decode(self, body: bytes, origin: Origin, *, seed: bytes = b"") -> ModelResponse:
        """Return the reply in a body."""
        return decode_messages(body, origin, seed=seed, prices=self.prices)

    def decoder(self, origin: Origin, *, seed: bytes = b"") -> MessagesDecoder:
        """Return what reads a streamed reply."""
        return MessagesDecoder(origin, seed, self.prices)
