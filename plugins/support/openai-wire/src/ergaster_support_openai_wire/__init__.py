"""Codecs of the OpenAI protocols, shared by Ergaster plugins.

The codecs are sans-I/O: bytes out of a request, a reply out of bytes. `CompatibleProvider` makes a plugin out of a
vendor's facts.
"""

from ergaster_support_openai_wire._checks import Limits
from ergaster_support_openai_wire.background import BackgroundModel
from ergaster_support_openai_wire.chat_reply import ChatDecoder, decode_chat
from ergaster_support_openai_wire.chat_request import ChatEncoder
from ergaster_support_openai_wire.codec import ChatCodec, Codec, Decoder, ResponsesCodec
from ergaster_support_openai_wire.errors import Origin, error_from_response, redact, retry_after
from ergaster_support_openai_wire.model import Endpoint, WireModel
from ergaster_support_openai_wire.provider import (
    CompatibleProvider,
    CompatibleSettings,
    capabilities_with,
    model_settings,
    prices_for,
)
from ergaster_support_openai_wire.quirks import Quirks
from ergaster_support_openai_wire.responses_reply import ResponsesDecoder, decode_responses
from ergaster_support_openai_wire.responses_request import ResponsesEncoder
from ergaster_support_openai_wire.sse import SseSplitter
from ergaster_support_openai_wire.usage import Price, usage_from

__all__ = [
    "BackgroundModel",
    "ChatCodec",
    "ChatDecoder",
    "ChatEncoder",
    "Codec",
    "CompatibleProvider",
    "CompatibleSettings",
    "Decoder",
    "Endpoint",
    "Limits",
    "Origin",
    "Price",
    "Quirks",
    "ResponsesCodec",
    "ResponsesDecoder",
    "ResponsesEncoder",
    "SseSplitter",
    "WireModel",
    "capabilities_with",
    "decode_chat",
    "decode_responses",
    "error_from_response",
    "model_settings",
    "prices_for",
    "redact",
    "retry_after",
    "usage_from",
]
