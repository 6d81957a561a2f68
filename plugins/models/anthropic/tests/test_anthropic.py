"""What is particular to Anthropic's plugin: options, credentials, clients of the user's, counting, errors of the API."""

from __future__ import annotations

import json

import httpx2
import pytest
from anthropic import AsyncAnthropic

from ergaster.contracts.model import ModelRequest, ModelSettings
from ergaster.errors import (
    AuthenticationFailed,
    BadRequest,
    ContextOverflow,
    InvalidOption,
    MalformedReply,
    ModelError,
    ProviderUnavailable,
    RateLimited,
    Unsupported,
)
from ergaster.messages import Message
from ergaster.plugins import PluginManager
from ergaster.testing.loopback import Fault, LoopbackServer, Reply, raw_body
from ergaster_anthropic import AnthropicModel
from ergaster_support_http import AiohttpTransport

HELLO = Message("user", "hello")
KEY = "sk-ant-test-0123456789abcdef"
MODEL = "claude-sonnet-5-5"


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment without any of the credentials that the SDK looks for."""
    for name in ("API_KEY", "AUTH_TOKEN", "PROFILE", "BASE_URL", "CONFIG_DIR"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return monkeypatch


def ask(*messages: Message, **settings) -> ModelRequest:
    return ModelRequest(messages=messages or (HELLO,), settings=ModelSettings(**settings))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnthropicModel(MODEL, tempratur=1), "'tempratur'.*temperature"),
        (lambda: AnthropicModel(MODEL, prices={"input": 1.0}), "input, output"),
        (lambda: PluginManager().create("model", "anthropic"), "anthropic:claude-sonnet-5-5"),
        (lambda: PluginManager().create("model", f"anthropic:{MODEL}", {"cache": "2h"}), "cache"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_what_would(make, message):
    with pytest.raises(InvalidOption, match=message):
        make()


def test_the_reference_takes_every_option_as_configuration_writes_it():
    options = {
        "api_key": KEY,
        "cache": "1h",
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "native_tools": [{"type": "web_search_20260209", "name": "web_search"}],
        "prices": {"input": 3, "output": 15.0},
        "stop": ["END"],
        "images": False,
    }

    model = PluginManager().create("model", f"anthropic:{MODEL}", options)

    assert isinstance(model, AnthropicModel)
    assert not model.capabilities.images
    assert KEY not in repr(model)


def test_the_plugin_offers_itself_where_the_key_is_there():
    spec = PluginManager().spec("model", "anthropic")

    assert (spec.auto, spec.env) == ("anthropic:claude-sonnet-5-5", ("ANTHROPIC_API_KEY",))


@pytest.mark.parametrize(
    ("name", "tokens"), [(MODEL, 32_000), ("claude-3-5-haiku-latest", 8192), ("claude-3-opus-latest", 4096)]
)
async def test_a_length_is_always_sent(server, name, tokens):
    model = AnthropicModel(name, base_url=server.base_url, api_key=KEY)

    await model.generate(ask())
    await model.close()

    assert server.requests[0].body["max_tokens"] == tokens


@pytest.mark.parametrize("profile", [None, "lost"])
async def test_no_credentials_at_all_name_the_variable_and_the_option(server, bare, profile):
    if profile:
        bare.setenv("ANTHROPIC_PROFILE", profile)
    for options in ({}, {"transport": AiohttpTransport()}):
        model = AnthropicModel(MODEL, base_url=server.base_url, **options)
        with pytest.raises(AuthenticationFailed, match="ANTHROPIC_API_KEY or the option api_key"):
            await model.generate(ask())
        await model.close()

    assert server.requests == []


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
async def test_credentials_and_address_come_from_the_environment_as_the_sdk_reads_them(server, bare, variable):
    bare.setenv(variable, KEY)
    bare.setenv("ANTHROPIC_BASE_URL", server.origin)
    model = AnthropicModel(MODEL, headers={"anthropic-beta": "novelty-1"})

    await model.generate(ask())
    await model.close()

    [request] = server.requests
    assert request.path == "/v1/messages"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert request.headers["anthropic-beta"] == "novelty-1"


async def test_clients_of_the_users_send_and_stay_open(server):
    async with httpx2.AsyncClient(headers={"x-from": "http-client"}) as http:
        sdk = AsyncAnthropic(api_key=KEY, base_url=server.origin, default_headers={"x-from": "sdk-client"}, max_retries=0)
        for options in ({"http_client": http, "base_url": server.origin, "api_key": KEY}, {"client": sdk}):
            model = AnthropicModel(MODEL, **options)
            await model.generate(ask())
            await model.close()

        assert not http.is_closed
        assert not sdk.is_closed()
        await sdk.close()

    assert [request.headers["x-from"] for request in server.requests] == ["http-client", "sdk-client"]


async def test_another_transport_sends_the_version_and_the_key_without_the_sdk(server):
    model = AnthropicModel(MODEL, transport=AiohttpTransport(), base_url=server.base_url, api_key=KEY)

    await model.generate(ask())
    await model.close()

    [request] = server.requests
    assert (request.path, request.headers["authorization"]) == ("/v1/messages", f"Bearer {KEY}")
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert "x-stainless-lang" not in request.headers


async def test_tokens_are_counted_before_the_call(server):
    server.say(raw_body({"input_tokens": 2095}), raw_body({"tokens": 1}))
    model = AnthropicModel(MODEL, base_url=server.base_url, api_key=KEY)

    counted = await model.count_tokens(ask(Message("system", "Be brief."), HELLO))
    with pytest.raises(MalformedReply, match="count"):
        await model.count_tokens(ask())
    with pytest.raises(Unsupported):
        await model.count_tokens(ask(temperature=1.0))
    await model.close()

    assert counted == 2095
    assert server.requests[0].path == "/v1/messages/count_tokens"
    assert set(server.requests[0].body) == {"model", "messages", "system"}


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected", "can_retry"),
    [
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ContextOverflow, False),
        (400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 190000", ContextOverflow, False),
        (400, "invalid_request_error", "messages.0: bad", BadRequest, False),
        (401, "authentication_error", "invalid bearer token", AuthenticationFailed, False),
        (402, "billing_error", "no credit", RateLimited, False),
        (403, "permission_error", "no", AuthenticationFailed, False),
        (404, "not_found_error", "model: claude-9", BadRequest, False),
        (413, "request_too_large", "Request exceeds the maximum size", ContextOverflow, False),
        (429, "rate_limit_error", "slow down", RateLimited, True),
        (500, "api_error", "it broke", ProviderUnavailable, True),
        (504, "timeout_error", "too late", ProviderUnavailable, True),
        (529, "overloaded_error", "Overloaded", ProviderUnavailable, True),
    ],
)
async def test_errors_of_the_api_keep_class_status_and_request(server, status, kind, message, expected, can_retry):
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    server.say(Fault(status=status, headers={"request-id": "req_1", "retry-after": "3"}, body=json.dumps(error).encode()))
    model = AnthropicModel(MODEL, base_url=server.base_url, api_key=KEY)

    with pytest.raises(ModelError) as caught:
        await model.generate(ask())
    await model.close()

    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.can_retry, caught.value.retry_after) == (status, can_retry, 3.0)
    assert caught.value.request_id == "req_1"


async def test_a_conversation_with_thinking_goes_on_as_it_came(server):
    server.say(Reply(reasoning="Hm.", signature="proof==", text="Yes."), Reply(text="Still yes."))
    model = AnthropicModel(MODEL, base_url=server.base_url, api_key=KEY)

    first = await model.generate(ask())
    await model.generate(ask(HELLO, first.message, Message("user", "sure?")))
    await model.close()

    assert server.requests[1].body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "proof=="},
        {"type": "text", "text": "Yes."},
    ]
