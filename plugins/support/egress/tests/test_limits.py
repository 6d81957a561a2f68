"""A24, A26: names that change their address, and answers that never end."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import subprocess
import sys
import threading
import tracemalloc
import zlib

import pytest

from ergaster_support_egress import Egress, EgressFailed, EgressSettings, EgressTimeout, Guard, ResponseTooLarge, UrlRefused
from ergaster_support_egress.testing import Peer, reply, resolver_of

HEAD = b"HTTP/1.1 200 OK\r\n"
MEBIBYTE = 2**20


def let_out(peer: Peer, **options) -> Egress:
    return Egress(EgressSettings(**{"allow": (peer.place,), "timeout": 20, **options}))


def changing(*answers: str):
    """Return a resolver that gives these addresses one after the other."""
    rest = list(answers)

    async def resolve(host: str, port: int):
        return (rest.pop(0) if len(rest) > 1 else rest[0],)

    return resolve


async def test_connection_goes_to_the_address_that_was_checked():
    with Peer() as peer, Peer(host="127.0.0.2") as canary:
        settings = EgressSettings(allow=("127.0.0.1/32",), ports=(peer.port, canary.port))
        egress = Egress(settings, resolver=changing("127.0.0.1", "127.0.0.2"))
        page = await egress.fetch(f"http://a.example:{peer.port}/")
        for port in (peer.port, canary.port):
            with pytest.raises(UrlRefused, match=r"127\.0\.0\.2"):
                await egress.fetch(f"http://a.example:{port}/")

    assert page.body == b"ok"
    assert f"Host: a.example:{peer.port}".encode() in peer.requests[0]
    assert (peer.connections, canary.connections) == (1, 0)


@pytest.mark.parametrize("later", ["::1", "10.0.0.1", "::ffff:127.0.0.1"])
async def test_redirect_to_the_same_name_is_resolved_and_judged_again(later: str):
    from ergaster_support_egress.testing import redirect

    with Peer(redirect("/again")) as peer:
        settings = EgressSettings(allow=(peer.place,))
        egress = Egress(settings, resolver=changing("127.0.0.1", later))
        with pytest.raises(UrlRefused):
            await egress.fetch(f"http://a.example:{peer.port}/")

    assert peer.connections == 1


async def test_next_address_is_tried_when_one_does_not_answer():
    with Peer() as peer:
        settings = EgressSettings(allow=("127.0.0.0/8",), ports=(peer.port,))
        egress = Egress(settings, resolver=resolver_of({"a.example": ["127.0.0.3", "127.0.0.1"]}))

        assert (await egress.fetch(f"http://a.example:{peer.port}/")).status == 200


async def test_each_request_has_a_connection_of_its_own():
    with Peer() as peer:
        egress = let_out(peer)
        await asyncio.gather(*(egress.fetch(peer.url) for _ in range(5)))

    assert peer.connections == 5


async def test_clients_of_ones_own_go_through_the_guard():
    import httpx

    from ergaster_support_egress.testing import redirect
    from ergaster_support_egress.transport import EgressTransport

    with Peer() as canary, Peer(redirect(canary.url)) as peer:
        transport = EgressTransport(Guard(EgressSettings(allow=(peer.place,))))
        async with httpx.AsyncClient(transport=transport, follow_redirects=True, trust_env=False) as client:
            with pytest.raises(UrlRefused):
                await client.get(peer.url)
            peer.say(reply(gzip.compress(b"unpacked"), Content_Encoding="gzip"))
            assert (await client.get(peer.url)).text == "unpacked"

    assert canary.connections == 0


def endless(piece: bytes, stop: threading.Event | None = None):
    while stop is None or not stop.is_set():
        yield piece


def dripping(start: bytes, stop: threading.Event):
    yield start
    while not stop.wait(0.05):
        yield b"x"


@pytest.mark.parametrize("start", [b"HTTP/1.1 200", HEAD + b"X: ", HEAD + b"\r\n", b"", HEAD + b"Content-Length: 99\r\n\r\n"])
async def test_slow_source_is_left_in_time(start: bytes):
    stop = threading.Event()
    with Peer(dripping(start, stop)) as peer:
        with pytest.raises(EgressTimeout, match=r"within 0\.4 s"):
            await let_out(peer, timeout=0.4).fetch(peer.url)
        stop.set()


async def test_slow_body_is_left_in_time_by_clients_of_ones_own():
    import httpx

    from ergaster_support_egress.transport import EgressTransport

    stop = threading.Event()
    with Peer(dripping(HEAD + b"\r\n", stop)) as peer:
        transport = EgressTransport(Guard(EgressSettings(allow=(peer.place,), timeout=0.4)))
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client, asyncio.timeout(10):
            with pytest.raises(EgressTimeout, match=r"within 0\.4 s"):
                await client.get(peer.url)
        stop.set()


async def test_silent_source_is_left_in_time():
    stop = threading.Event()

    def silent(request: bytes):
        stop.wait(20)
        return b""

    with Peer(silent) as peer:
        with pytest.raises(EgressTimeout, match="fell silent"):
            await let_out(peer, read_timeout=0.2).fetch(peer.url)
        stop.set()


def gzip_bomb():
    packer = zlib.compressobj(9, wbits=31)
    yield HEAD + b"Content-Encoding: gzip\r\n\r\n"
    zeros = bytes(MEBIBYTE)
    for _ in range(200):
        yield packer.compress(zeros)
    yield packer.flush()


def million_headers():
    yield HEAD
    for _ in range(1000):
        yield b"".join(b"X-%d: y\r\n" % number for number in range(1000))


ENDLESS = {
    "body": lambda: itertools.chain([HEAD + b"\r\n"], endless(b"x" * 65_536)),
    "chunks": lambda: itertools.chain(
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n"], endless(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
    ),
    "tiny members": lambda: itertools.chain([HEAD + b"Content-Encoding: gzip\r\n\r\n"], endless(gzip.compress(b"") * 1000)),
    "gzip bomb": gzip_bomb,
    "bomb as deflate": lambda: [HEAD + b"Content-Encoding: deflate\r\n\r\n", zlib.compress(bytes(50 * MEBIBYTE), 9)],
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_endless_body_is_left_and_memory_stays_small(kind: str):
    bodies = ENDLESS[kind]()
    with Peer(bodies if kind != "gzip bomb" else list(bodies)) as peer:
        tracemalloc.start()
        with pytest.raises(ResponseTooLarge):
            await let_out(peer, max_bytes=8 * MEBIBYTE).fetch(peer.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 32 * MEBIBYTE


async def test_compression_ratio_is_limited_below_the_size_limit():
    body = [HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(4 * MEBIBYTE))]
    with Peer(body) as peer, pytest.raises(ResponseTooLarge, match="grows more than 100 times"):
        await let_out(peer).fetch(peer.url)


async def test_a_million_headers_are_not_read():
    with Peer(million_headers()) as peer:
        with pytest.raises((ResponseTooLarge, EgressFailed)):
            await let_out(peer).fetch(peer.url)

        peer.say(HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(300)) + b"Content-Length: 0\r\n\r\n")
        with pytest.raises(ResponseTooLarge, match="301 headers; 200 are read"):
            await let_out(peer).fetch(peer.url)


async def test_endless_informational_answers_end_with_the_time_limit():
    with Peer(endless(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)) as peer, pytest.raises(EgressTimeout):
        await let_out(peer, timeout=0.5).fetch(peer.url)


async def test_announced_length_is_compared_before_reading():
    with Peer(reply(b"x", length=10**12)) as peer, pytest.raises(ResponseTooLarge, match="announces more than"):
        await let_out(peer).fetch(peer.url)


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"short", length=50),
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        HEAD + b"Content-Length: -5\r\n\r\nhello",
        HEAD + b"Content-Length: 5x\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot hex\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
        reply(b"no gzip", Content_Encoding="gzip"),
        reply(gzip.compress(b"x" * 5000, mtime=0)[:20], Content_Encoding="gzip"),
        reply(b"x", Content_Encoding="br"),
        reply(gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), Content_Encoding="gzip, gzip"),
    ],
)
async def test_answer_that_breaks_the_protocol_is_a_failure_that_repeats_nothing(answer: bytes):
    with Peer(answer) as peer, pytest.raises(EgressFailed) as caught:
        await let_out(peer).fetch(peer.url)

    assert peer.url in str(caught.value)
    assert "hello" not in str(caught.value)
    assert "SSH" not in str(caught.value)


async def test_bytes_behind_the_announced_end_are_not_read():
    with Peer(reply(b"12345 and more", length=5)) as peer:
        assert (await let_out(peer).fetch(peer.url)).body == b"12345"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"a" * 500_000, mtime=0)),
        ("x-gzip", gzip.compress(b"a" * 250_000, mtime=0) * 2),
        ("gzip", gzip.compress(b"a" * 500_000, mtime=0) + b"\0" * 100),
        ("deflate", zlib.compress(b"a" * 500_000)),
        ("deflate", zlib.compress(b"a" * 500_000)[2:-4]),
        ("identity", b"a" * 500_000),
    ],
)
async def test_packed_bodies_are_unpacked(encoding: str, packed: bytes):
    with Peer(reply(packed, Content_Encoding=encoding)) as peer:
        page = await let_out(peer).fetch(peer.url)

    assert page.body == b"a" * 500_000
    assert "content-encoding" not in page.headers


async def test_body_can_be_read_as_it_arrives():
    go_on = threading.Event()

    def in_two(request: bytes):
        yield HEAD + b"\r\nfirst"
        go_on.wait(10)
        yield b"second"

    with Peer(in_two) as peer:
        async with let_out(peer).open(peer.url) as stream:
            chunks = stream.chunks()
            first = await anext(chunks)
            go_on.set()

            assert (first, b"".join([chunk async for chunk in chunks])) == (b"first", b"second")


async def test_callers_own_timeout_stays_its_own():
    with Peer() as peer, pytest.raises(TimeoutError):
        async with let_out(peer).open(peer.url):
            raise TimeoutError


async def test_nobody_there_is_a_failure_that_says_so():
    with pytest.raises(EgressFailed, match="nobody answers"):
        await Egress(EgressSettings(allow=("127.0.0.1:9",))).fetch("http://127.0.0.1:9/")


async def test_head_has_no_body():
    with Peer(reply(b"", length=10**12)) as peer:
        page = await let_out(peer).fetch(peer.url, "HEAD")

    assert (page.status, page.body) == (200, b"")


def test_one_egress_serves_several_loops():
    with Peer() as peer:
        egress = let_out(peer)

        assert [asyncio.run(egress.fetch(peer.url)).status for _ in range(3)] == [200, 200, 200]


def test_importing_loads_no_http_library():
    script = "import ergaster_support_egress, sys; print(*{'httpx', 'httpcore', 'idna', 'anyio'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "\n"
