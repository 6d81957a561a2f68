"""What is particular to models behind any OpenAI-compatible URL."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ergaster.contracts.model import ModelRequest
from ergaster.errors import InvalidOption
from ergaster.messages import Message
from ergaster.refs import parse_ref
from ergaster.testing.loopback import LoopbackServer, Reply
from ergaster_openai_compatible import openai_compatible
from ergaster_support_openai_wire import CompatibleSettings

REQUEST = ModelRequest(messages=(Message("user", "hi"),))


async def test_a_server_without_a_key_is_called_without_one():
    with LoopbackServer(Reply(text="hello")) as server:
        model = openai_compatible(parse_ref("openai_compatible:llama"), CompatibleSettings(base_url=server.base_url))

        reply = await model.generate(REQUEST)
        await model.close()

    assert "hello" == reply.message.text
    assert "authorization" not in server.requests[0].headers
    assert "/v1/chat/completions" == server.requests[0].path


@pytest.mark.parametrize("base_url", [None, "localhost:8080", "file:///etc/passwd", "http://"])
def test_an_unusable_address_is_refused_with_an_example(base_url):
    with pytest.raises(InvalidOption, match="http"):
        openai_compatible(parse_ref("openai_compatible:llama"), CompatibleSettings(base_url=base_url))


def test_a_reference_without_a_model_is_refused():
    with pytest.raises(InvalidOption, match="openai_compatible:model"):
        openai_compatible(parse_ref("openai_compatible"), CompatibleSettings(base_url="http://localhost/v1"))


def test_the_vendor_sdk_is_never_imported():
    script = """
import asyncio, sys
from ergaster.contracts.model import ModelRequest
from ergaster.messages import Message
from ergaster.refs import parse_ref
from ergaster.testing.loopback import LoopbackServer
from ergaster_openai_compatible import openai_compatible
from ergaster_support_openai_wire import CompatibleSettings
assert "aiohttp" not in sys.modules

async def main():
    with LoopbackServer() as server:
        model = openai_compatible(parse_ref("openai_compatible:m"), CompatibleSettings(base_url=server.base_url))
        assert "ok" == (await model.generate(ModelRequest(messages=(Message("user", "hi"),)))).message.text

asyncio.run(main())
print(*{"openai", "httpx", "httpx2", "pydantic"} & set(sys.modules))
"""
    result = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)

    assert ("\n", "", 0) == (result.stdout, result.stderr, result.returncode)
