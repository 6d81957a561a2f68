"""What both transports promise, against a real server."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys

import pytest

from ergaster.testing.loopback import LoopbackServer, Reply, cut_body, cut_stream, hanging, raw_body, redirecting
from ergaster_support_http import (
    AiohttpTransport,
    ConnectFailed,
    ConnectionCut,
    Httpx2Transport,
    Request,
    ResponseTooLarge,
    TimedOut,
    Timeout,
    Transport,
)


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


@pytest.fixture(params=[AiohttpTransport, Httpx2Transport])
async def transport(request):
    transport = request.param()
    yield transport
    await transport.close()


def ask(server: LoopbackServer, body: bytes = b'{"stream":false}', **fields) -> Request:
    return Request(f"{server.base_url}/chat/completions", body, {"authorization": "Bearer secret"}, **fields)


async def test_a_response_comes_whole(server, transport):
    server.say(raw_body(b"bytes \xff", status=418, content_type="text/x"))

    response = await transport.send(ask(server, b"{}"))

    assert isinstance(transport, Transport)
    assert (response.status, response.body) == (418, b"bytes \xff")
    assert response.headers["content-type"] == "text/x"
    assert server.requests[0].raw == b"{}"
    assert server.requests[0].headers["authorization"] == "Bearer secret"


async def test_a_body_of_megabytes_arrives(server, transport):
    body = json.dumps({"text": "x" * 3_000_000}).encode()

    await transport.send(ask(server, body))

    assert server.requests[0].raw == body


async def test_chunks_arrive_one_by_one(server, transport):
    server.say(cut_stream(2, "hang"))

    async with transport.stream(ask(server, b'{"stream":true}')) as response:
        first = await anext(aiter(response.chunks()))

    assert first.startswith(b"data: ")
    assert await asyncio.to_thread(server.wait_until, lambda server: server.open_connections == 0)


async def test_redirects_are_responses(server, transport):
    server.say(redirecting(f"{server.origin}/elsewhere"))

    assert (await transport.send(ask(server))).status == 302
    assert len(server.requests) == 1


async def test_a_compressed_bomb_is_stopped(server):
    for transport in (AiohttpTransport(response_limit=1000), Httpx2Transport(response_limit=1000)):
        server.say(raw_body(b"x" * 1001), Reply(text="y" * 2000, piece=10))

        with pytest.raises(ResponseTooLarge):
            await transport.send(ask(server))
        with pytest.raises(ResponseTooLarge):
            async with transport.stream(ask(server, b'{"stream":true}')) as response:
                await response.read()
        await transport.close()


async def test_time_limits_are_kept(server, transport):
    server.say(hanging(), cut_stream(1, "hang"))

    with pytest.raises(TimedOut):
        await transport.send(ask(server, timeout=Timeout(total=0.2)))
    with pytest.raises(TimedOut):
        async with transport.stream(ask(server, b'{"stream":true}', timeout=Timeout(total=None, read=0.2))) as response:
            await response.read()


async def test_failures_are_told_apart(server, transport):
    server.say(cut_body())

    with pytest.raises(ConnectionCut):
        await transport.send(ask(server))
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1:9"):
        await transport.send(Request("http://user:password@127.0.0.1:9/v1"))
    with pytest.raises(ConnectFailed):
        await transport.send(Request("no address at all"))


async def test_transports_of_equal_options_share_connections(server):
    first, second = AiohttpTransport(), AiohttpTransport()

    await first.send(ask(server))
    await second.send(ask(server))
    await first.close()
    await second.send(ask(server))
    connections = server.connections
    await second.close()

    assert connections == 1
    assert await asyncio.to_thread(server.wait_until, lambda server: server.open_connections == 0)


def test_a_loop_that_ends_takes_its_connections_along(server):
    transport = AiohttpTransport()

    for _ in range(3):
        asyncio.run(transport.send(ask(server)))
    gc.collect()

    assert server.wait_until(lambda server: server.open_connections == 0)


def test_a_loop_that_was_killed_leaves_a_working_transport(server):
    transport = AiohttpTransport()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(transport.send(ask(server)))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()

    assert asyncio.run(transport.send(ask(server))).status == 200


async def test_a_proxy_is_used_only_by_option(server, monkeypatch):
    with LoopbackServer(raw_body(b"by proxy"), raw_body(b"by proxy")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        bodies = []

        for option in (None, "env", proxy.origin):
            transport = AiohttpTransport(option)
            bodies.append((await transport.send(ask(server))).body)
            await transport.close()

    assert bodies[0] != b"by proxy"
    assert bodies[1:] == [b"by proxy", b"by proxy"]
    assert proxy.origin not in repr(AiohttpTransport(proxy.origin))


def test_importing_loads_no_http_library():
    script = "import ergaster_support_http, sys; print(*{'aiohttp', 'httpx2', 'httpx'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "\n"
