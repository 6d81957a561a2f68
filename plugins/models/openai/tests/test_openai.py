"""What is particular to OpenAI: options, clients of the user's, sound, and what the provider keeps."""

from __future__ import annotations

import base64
import subprocess
import sys

import httpx2
import pytest
from openai import AsyncOpenAI

from ergaster.contracts.model import ModelRequest
from ergaster.errors import AuthenticationFailed, InvalidOption
from ergaster.messages import Audio, Message
from ergaster.plugins import PluginManager
from ergaster.testing.loopback import LoopbackServer, Reply, raw_body
from ergaster_openai import OpenAIChat, OpenAIResponses
from ergaster_support_http import AiohttpTransport

HELLO = Message("user", "hello")
KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


def ask(*messages: Message) -> ModelRequest:
    return ModelRequest(messages=messages or (HELLO,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OpenAIResponses("gpt-5", tempratur=1), "'tempratur'.*temperature"),
        (lambda: OpenAIResponses("gpt-5", audio_output={"voice": "alloy"}), "audio_output.*responses"),
        (lambda: OpenAIChat("gpt-5", stateful=True, background=True), "stateful, background"),
        (lambda: PluginManager().create("model", "openai"), "openai:gpt-5-mini"),
        (lambda: PluginManager().create("model", "openai:gpt-5", {"api": "completions"}), "api"),
        (lambda: PluginManager().create("model", "openai:gpt-5", {"prices": {"inputs": 1.0}}), "input, output"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_what_would(make, message):
    with pytest.raises(InvalidOption, match=message):
        make()


def test_the_reference_takes_every_option_as_configuration_writes_it():
    options = {"quirks": {"seed": False}, "prices": {"input": 0.25, "output": 2}, "stop": ["END"], "extra_body": {"a": 1}}

    model = PluginManager().create("model", "openai:gpt-5", {"api": "chat", "api_key": KEY, "images": False, **options})

    assert isinstance(model, OpenAIChat)
    assert not model.capabilities.images
    assert KEY not in repr(model)


async def test_a_missing_key_names_the_variable_and_the_option(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    with pytest.raises(AuthenticationFailed, match="OPENAI_API_KEY or the option api_key"):
        await OpenAIResponses("gpt-5").generate(ask())


async def test_key_and_address_come_from_the_environment_as_the_sdk_reads_them(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    model = OpenAIResponses("gpt-5", organization="org-1", project="proj-1")

    await model.generate(ask())
    await model.close()

    headers = server.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")


async def test_clients_of_the_users_send_and_stay_open(server):
    async with httpx2.AsyncClient(headers={"x-from": "http-client"}) as http:
        sdk = AsyncOpenAI(api_key=KEY, base_url=server.base_url, default_headers={"x-from": "sdk-client"}, max_retries=0)
        for options in ({"http_client": http, "base_url": server.base_url, "api_key": KEY}, {"client": sdk}):
            model = OpenAIResponses("gpt-5", **options)
            await model.generate(ask())
            await model.close()

        assert not http.is_closed
        assert not sdk.is_closed()
        await sdk.close()

    assert [request.headers["x-from"] for request in server.requests] == ["http-client", "sdk-client"]


async def test_another_transport_sends_without_the_sdk(server):
    model = OpenAIResponses("gpt-5", transport=AiohttpTransport(), base_url=server.base_url, api_key=KEY)

    await model.generate(ask())
    await model.close()

    assert server.requests[0].path == "/v1/responses"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "x-stainless-lang" not in server.requests[0].headers


async def test_a_spoken_answer_is_heard_and_referred_to(server):
    sound = {"id": "audio_1", "data": base64.b64encode(b"RIFF").decode(), "transcript": "Hello", "expires_at": 1}
    message = {"role": "assistant", "content": None, "audio": sound}
    server.say(raw_body({"id": "r", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))
    voice = {"voice": "alloy", "format": "wav"}
    model = OpenAIChat("gpt-audio", base_url=server.base_url, api_key=KEY, audio_output=voice)

    reply = await model.generate(ask())
    await model.generate(ask(HELLO, reply.message, HELLO))
    await model.close()

    first, second = (request.body for request in server.requests)
    assert (first["modalities"], first["audio"]) == (["text", "audio"], voice)
    assert reply.message.text == "Hello"
    assert reply.message.parts[1] == Audio(b"RIFF", media_type="audio/wav")
    assert second["messages"][1]["audio"] == {"id": "audio_1"}


async def test_a_conversation_that_openai_keeps_is_sent_once(server):
    server.say(Reply(text="one", id="resp_1"), Reply(text="two", id="resp_2"))
    model = OpenAIResponses("gpt-5", base_url=server.base_url, api_key=KEY, stateful=True)

    first = await model.generate(ask())
    await model.generate(ask(HELLO, first.message, Message("user", "and now?")))
    await model.close()

    second = server.requests[1].body
    assert second["previous_response_id"] == "resp_1"
    assert second["input"] == [{"role": "user", "content": "and now?"}]


async def test_prices_give_the_cost_of_a_call(server):
    model = OpenAIChat("gpt-5", base_url=server.base_url, api_key=KEY, prices={"input": 1.0, "output": 10.0})

    reply = await model.generate(ask())
    await model.close()

    assert str(reply.usage.cost) == "0.00006"


def test_the_sdk_is_imported_at_the_first_call_and_off_the_loop():
    script = """
import asyncio, sys, threading
from ergaster.contracts.model import ModelRequest
from ergaster.messages import Message
from ergaster.testing.loopback import LoopbackServer
from ergaster_openai import OpenAIResponses

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "openai":
            print(threading.current_thread() is threading.main_thread())

async def main():
    with LoopbackServer() as server:
        model = OpenAIResponses("gpt-5", base_url=server.base_url, api_key="sk-0123456789")
        print("openai" in sys.modules)
        sys.meta_path.insert(0, Watch())
        await model.generate(ModelRequest(messages=(Message("user", "hi"),)))
        print("openai" in sys.modules)

asyncio.run(main())
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (result.stdout.split(), result.stderr) == (["False", "False", "True"], "")
