"""Errors: every shape in which servers report them, and what is never shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ergaster.errors import (
    AuthenticationFailed,
    BadRequest,
    ContentRefused,
    ContextOverflow,
    ProviderUnavailable,
    RateLimited,
)
from ergaster.secrets import Secret
from ergaster_support_openai_wire import Origin, error_from_response, redact, retry_after

ORIGIN = Origin("vendor", "model-1", Secret("plain-words-as-a-key"), "VENDOR_API_KEY or the option api_key")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens", "code": None}}, ContextOverflow),
        (400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "too long"}}, ContextOverflow),
        (500, {"error": {"message": "the request exceeds the available context size"}}, ContextOverflow),
        (400, {"error": {"message": "input length and `max_tokens` exceed context limit: 190000 + 32000"}}, ContextOverflow),
        (413, {"error": {"code": "rate_limit_exceeded", "message": "tokens per minute"}}, RateLimited),
        (402, {"error": {"message": "Insufficient Balance"}}, RateLimited),
        (400, {"error": {"code": "content_policy_violation", "message": "no"}}, ContentRefused),
        (400, {"object": "error", "message": "bad", "code": 400}, BadRequest),
        (400, {"error": "bad"}, BadRequest),
        (400, [{"error": {"message": "bad"}}], BadRequest),
        (422, {"detail": [{"loc": ["body"], "msg": "bad"}]}, BadRequest),
        (401, {"error": {"type": "invalid_request_error", "message": "bad"}}, AuthenticationFailed),
        (408, {}, ProviderUnavailable),
        (409, {}, ProviderUnavailable),
        (599, None, ProviderUnavailable),
        (301, "", BadRequest),
    ],
)
def test_errors_are_told_apart_in_every_shape(status, body, expected):
    error = error_from_response(status, {}, json.dumps(body).encode(), ORIGIN)

    assert type(error) is expected
    assert error.status == status


def test_the_provider_may_say_whether_to_retry():
    assert error_from_response(503, {"x-should-retry": "false"}, b"", ORIGIN).can_retry is False
    assert error_from_response(400, {"x-should-retry": "true"}, b"", ORIGIN).can_retry is True


def test_no_credit_is_no_reason_to_try_again():
    error = error_from_response(429, {}, b'{"error":{"code":"insufficient_quota","message":"m"}}', ORIGIN)

    assert not error.can_retry
    assert "top it up" in str(error)


def test_a_date_without_the_servers_clock_is_measured_by_ours():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=3600), usegmt=True)

    assert 3500 < (retry_after({"retry-after": later}) or 0) <= 3600


@pytest.mark.parametrize(
    "text",
    [
        "the key plain-words-as-a-key is wrong",
        "the key sk-proj-abcdef0123456789 is wrong",
        "the key gsk_abcdef0123456789 is wrong",
        "the header was Bearer abcdef0123456789",
    ],
)
def test_what_looks_like_a_key_is_not_shown(text):
    shown = redact(text, ORIGIN.secret)

    assert "***" in shown
    assert not {"plain-words-as-a-key", "abcdef0123456789"} & set(shown.replace("-", " ").split())
    assert "plain-words-as-a-key" not in shown
    assert "abcdef0123456789" not in shown


def test_a_long_error_is_cut():
    assert len(str(error_from_response(500, {}, b"x" * 100_000, ORIGIN))) < 1000
