"""Codecs of the OpenAI protocols, shared by Ergaster plugins.

The codecs are sans-I/O: bytes out of a request, a reply out of bytes. `CompatibleProvider` makes a plugin out of a
vendor's facts. What no protocol has for itself, a model over a codec, checks, events, errors, JSON, is here for the
codecs of other vendors' plugins, too.
"""

from ergaster_support_openai_wire._calls import mint_call_id
from ergaster_support_openai_wire._checks import DEFAULT_LIMITS, Limits, check_media, check_request, check_settings
from ergaster_support_openai_wire._deltas import join_deltas
from ergaster_support_openai_wire._fragments import Fragment, FragmentCache, ToolsCache, measure
from ergaster_support_openai_wire._json import WRONG_SHAPE, JsonDecodeError, dump, join_object, load, quote, to_bytes
from ergaster_support_openai_wire._media import base64_text
from ergaster_support_openai_wire.background import BackgroundModel
from ergaster_support_openai_wire.chat_reply import ChatDecoder, decode_chat
from ergaster_support_openai_wire.chat_request import ChatEncoder
from ergaster_support_openai_wire.codec import ChatCodec, Codec, Decoder, ResponsesCodec
from ergaster_support_openai_wire.errors import Origin, error_from_response, malformed, redact, retry_after
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
    "DEFAULT_LIMITS",
    "Decoder",
    "Endpoint",
    "Fragment",
    "FragmentCache",
    "JsonDecodeError",
    "Limits",
    "Origin",
    "Price",
    "Quirks",
    "ResponsesCodec",
    "ResponsesDecoder",
    "ResponsesEncoder",
    "SseSplitter",
    "ToolsCache",
    "WRONG_SHAPE",
    "WireModel",
    "base64_text",
    "capabilities_with",
    "check_media",
    "check_request",
    "check_settings",
    "decode_chat",
    "decode_responses",
    "dump",
    "error_from_response",
    "join_deltas",
    "join_object",
    "load",
    "malformed",
    "measure",
    "mint_call_id",
    "model_settings",
    "prices_for",
    "quote",
    "redact",
    "retry_after",
    "to_bytes",
    "usage_from",
]
