"""Errors of the OpenAI protocols, by status and code, as Ergaster's classes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from attrs import frozen

from ergaster.errors import (
    AuthenticationFailed,
    BadRequest,
    ContentRefused,
    ContextOverflow,
    MalformedReply,
    ModelError,
    ProviderUnavailable,
    RateLimited,
)
from ergaster.messages import Json
from ergaster.secrets import Secret
from ergaster_support_openai_wire._json import JsonDecodeError, load

__all__ = ["Origin", "error_from_response", "error_from_value", "malformed", "redact", "retry_after"]

_EXCERPT = 500
_KEY_LIKE = re.compile(r"\b(sk|gsk|key|tgp|xai|pk)[-_][A-Za-z0-9_\-*]{6,}|\bBearer\s+\S+")
_OVERFLOW_CODES = {"context_length_exceeded", "exceed_context_size_error", "request_too_large", "string_above_max_length"}
_OVERFLOW_TEXT = re.compile(
    r"maximum context length|context (length|window|size|limit)|too many (input )?tokens|prompt is too long", re.I
)
_REFUSED_CODES = {
    "content_filter",
    "content_policy_violation",
    "moderation_blocked",
    "invalid_prompt",
    "image_content_policy_violation",
}
_QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "billing_not_active"}
_RATE_CODES = {"rate_limit_exceeded", "rate_limit_error", "tokens", "requests", "too_many_requests"}
_AUTH_CODES = {"invalid_api_key", "authentication_error", "permission_denied", "invalid_authentication"}
_REQUEST_CODES = {"invalid_request_error", "model_not_found", "unsupported_parameter", "invalid_value", "invalid_image_format"}


@frozen
class Origin:
    """Who answered, for the facts of an error.

    Attributes:
        provider: The plugin's name.
        model: The model's name.
        secret: The key, which no message may show.
        key_hint: Where a key is taken from, such as `OPENAI_API_KEY or the option api_key`.
    """

    provider: str
    model: str
    secret: Secret | None = None
    key_hint: str = "the option api_key"


def redact(text: str, secret: Secret | None = None) -> str:
    """Return *text* without the key and without whatever looks like one."""
    if secret:
        text = text.replace(secret.reveal(), "***")
    return _KEY_LIKE.sub("***", text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the provider asks to wait: `retry-after-ms`, or `retry-after` as a number or a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(headers["retry-after"])
        # The server's own clock is the one its date was made with.
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max((moment - now).total_seconds(), 0.0)
    except (KeyError, ValueError, TypeError):
        return None


def error_from_response(status: int, headers: Mapping[str, str], body: bytes, origin: Origin) -> ModelError:
    """Return the error that a response with another status than 2xx stands for."""
    try:
        value = load(body)
    except JsonDecodeError:
        value = _excerpt(body)
    return _build(status, value, headers, origin)


def error_from_value(value: Json, origin: Origin) -> ModelError:
    """Return the error that an error object in a reply or an event of the status 200 stands for."""
    code = value.get("code") if isinstance(value, Mapping) else None
    return _build(code if isinstance(code, int) and 300 <= code < 600 else 200, {"error": value}, {}, origin)


def malformed(what: str, body: bytes, origin: Origin, request_id: str | None = None) -> MalformedReply:
    """Return the error for a reply that breaks the protocol; it shows the beginning of the body."""
    text = redact(_excerpt(body, 200), origin.secret)
    advice = f": it begins with {text!r}; check that base_url is the address of the API" if text else ""
    return MalformedReply(
        f"{origin.provider} sent {what}{advice}",
        provider=origin.provider,
        model=origin.model,
        request_id=request_id,
    )


def _build(status: int, value: Json, headers: Mapping[str, str], origin: Origin) -> ModelError:
    text, code = _facts(value)
    text = redact(text, origin.secret)[:_EXCERPT]
    kind, advice = _classify(status, code, text, origin)
    said = f"HTTP {status}" if status != 200 else "an error"
    can_retry = False if code in _QUOTA_CODES or status == 402 else None
    if headers.get("x-should-retry") in {"true", "false"} and can_retry is None:
        can_retry = headers["x-should-retry"] == "true"
    return kind(
        f"{origin.provider} answered {said} for the model {origin.model!r}: {text or 'no reason given'}{advice}",
        provider=origin.provider,
        model=origin.model,
        status=status,
        retry_after=retry_after(headers),
        request_id=headers.get("x-request-id") or headers.get("request-id"),
        can_retry=can_retry,
    )


def _facts(value: Json) -> tuple[str, str]:
    """Return the message and the code of an error, in any of the shapes that servers use."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, Mapping):
        return str(value or ""), ""
    error = value.get("error", value)
    if not isinstance(error, Mapping):
        return str(error or value.get("message") or ""), ""
    message = error.get("message") or error.get("detail") or ""
    codes = [code for code in (error.get("code"), error.get("type")) if isinstance(code, str)]
    return str(message), codes[0] if codes else ""


def _classify(status: int, code: str, text: str, origin: Origin) -> tuple[type[ModelError], str]:
    """Return the class of an error and what to do next; the first rule that fits decides."""
    in_request = status in {200, 400, 413, 422, 500}
    rules: tuple[tuple[bool, type[ModelError], str], ...] = (
        (code in _REFUSED_CODES, ContentRefused, "; change the prompt or the input"),
        (code in _QUOTA_CODES or status == 402, RateLimited, "; the account has no credit left: top it up or use another key"),
        (status == 429 or code in _RATE_CODES, RateLimited, ""),
        (
            status == 413 or (in_request and (code in _OVERFLOW_CODES or bool(_OVERFLOW_TEXT.search(text)))),
            ContextOverflow,
            "; send fewer or shorter messages",
        ),
        (
            status in {401, 403} or code in _AUTH_CODES,
            AuthenticationFailed,
            f"; check {origin.key_hint} and what the key is allowed to do",
        ),
        (status == 404, BadRequest, "; check the model's name and base_url"),
        (300 <= status < 400, BadRequest, "; redirects are not followed: set base_url to the final address"),
        (status in {408, 409, 425} or status >= 500, ProviderUnavailable, ""),
        (status >= 400 or code in _REQUEST_CODES, BadRequest, ""),
    )
    for applies, kind, advice in rules:
        if applies:
            return kind, advice
    return ProviderUnavailable, ""


def _excerpt(body: bytes, length: int = _EXCERPT) -> str:
    return body[: 4 * length].decode("utf-8", "replace").strip()[:length]
