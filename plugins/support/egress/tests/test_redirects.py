"""A23, A27, A28: redirects and proxies lead nowhere that the guard did not judge."""

from __future__ import annotations

import pytest

from ergaster.errors import InvalidOption
from ergaster_support_egress import Egress, EgressFailed, EgressSettings, UrlRefused
from ergaster_support_egress.requests import first_hop, next_hop
from ergaster_support_egress.testing import Peer, redirect, reply, resolver_of

CODES = (301, 302, 303, 307, 308)
FORBIDDEN = (
    "http://169.254.169.254/latest/meta-data/",
    "//127.0.0.1:{canary}/",
    "http://2130706433:{canary}/",
    "http://[::ffff:127.0.0.1]:{canary}/",
    "http://inner.example:{canary}/",
    "http://user:pw@127.0.0.1:{canary}/",
    "\\\\127.0.0.1:{canary}",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{canary}/",
    "http:///127.0.0.1:{canary}/",
)


def let_out(*peers: Peer, **options) -> Egress:
    """Return an egress that may reach these peers, and that knows two names for them."""
    table = resolver_of({"inner.example": ["127.0.0.1"], "a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"]})
    return Egress(EgressSettings(allow=tuple(peer.place for peer in peers), timeout=10, **options), resolver=table)


def target_of(request: bytes) -> str:
    return request.split(b" ", 2)[1].decode()


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


@pytest.mark.parametrize("status", CODES)
@pytest.mark.parametrize("location", FORBIDDEN)
async def test_redirect_to_a_forbidden_place_is_refused_at_the_hop(status: int, location: str):
    with Peer() as canary, Peer(redirect(location.replace("{canary}", str(canary.port)), status)) as peer:
        with pytest.raises(UrlRefused):
            await let_out(peer).fetch(peer.url, headers={"Authorization": "Bearer s3cret"})

        assert len(peer.requests) == 1
    assert canary.connections == 0


@pytest.mark.parametrize("status", CODES)
async def test_allowed_redirect_is_followed(status: int):
    with Peer(redirect("/b?c=1", status), reply(b"here", Content_Type="Text/Plain; charset=x")) as peer:
        page = await let_out(peer).fetch(f"{peer.url}/a")

    assert (page.url, page.status, page.body, page.media_type) == (f"{peer.url}/b?c=1", 200, b"here", "text/plain")
    assert ["/a", "/b?c=1"] == [target_of(request) for request in peer.requests]


async def test_five_redirects_are_followed_and_six_are_not():
    with Peer(*(redirect(f"/{number}") for number in range(5)), reply(b"end")) as peer:
        assert (await let_out(peer).fetch(peer.url)).body == b"end"

        peer.say(redirect("/again"))
        with pytest.raises(UrlRefused, match="5 redirects"):
            await let_out(peer).fetch(peer.url)
    assert len(peer.requests) == 12


async def test_headers_stay_with_their_origin_and_do_not_come_back():
    sent = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Cookie": "a=s3cret", "Accept": "text/x"}
    with Peer() as first, Peer() as second:
        first.say(redirect("/same"), redirect(f"{second.url}/other"), reply(b"end"))
        second.say(redirect(f"{first.url}/back"))
        page = await let_out(first, second).fetch(first.url, headers=sent)

    assert page.url == f"{first.url}/back"
    assert b"s3cret" in first.requests[1]
    assert b"s3cret" not in second.requests[0] + first.requests[2]
    assert headers_of(second.requests[0])["accept"] == "text/x"
    assert headers_of(second.requests[0])["host"] == second.place


@pytest.mark.parametrize(("status", "expected"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_method_and_body_after_a_redirect(status: int, expected: str):
    with Peer(redirect("/b", status), reply()) as peer:
        await let_out(peer).fetch(peer.url, "POST", {"Content-Type": "text/x"}, b"body")

    assert peer.requests[1].startswith(expected.encode())
    assert peer.requests[1].endswith(b"body") is (expected == "POST")
    assert ("content-type" in headers_of(peer.requests[1])) is (expected == "POST")


async def test_body_is_not_sent_to_another_origin():
    with Peer() as other, Peer(redirect(other.url, 307)) as peer, pytest.raises(UrlRefused, match="to another host"):
        await let_out(peer, other).fetch(peer.url, "POST", body=b"s3cret")

    assert other.connections == 0


def test_https_is_not_left_for_http():
    hop = first_hop("https://a.example/", "GET", {}, b"")

    with pytest.raises(UrlRefused, match="from https to http"):
        next_hop(hop, 302, "http://a.example/", allow_downgrade=False)
    assert next_hop(hop, 302, "http://a.example/", allow_downgrade=True).target.scheme == "http"


@pytest.mark.parametrize("answer", [reply(status=300, Location="/x"), reply(status=304), reply(status=302)])
async def test_what_is_no_redirect_is_an_answer(answer: bytes):
    with Peer(answer) as peer:
        assert (await let_out(peer).fetch(peer.url)).url == f"{peer.url}/"

    assert len(peer.requests) == 1


async def test_refresh_in_a_page_or_a_header_is_not_followed():
    with Peer() as canary:
        page = f'<meta http-equiv="refresh" content="0; url={canary.url}">'.encode()
        with Peer(reply(page, Content_Type="text/html", Refresh=f"0; url={canary.url}")) as peer:
            assert (await let_out(peer, canary).fetch(peer.url)).body == page

    assert canary.connections == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "other"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "upgrade"),
        ("Proxy-Authorization", "x"),
        ("X", "a\r\nY: b"),
        ("X", "a\0"),
        ("X\r\nY", "b"),
        ("", "b"),
        ("X", "☃"),
        ("X", "a" * 10_000),
    ],
)
async def test_header_that_could_smuggle_is_refused(name: str, value: str):
    with Peer() as peer, pytest.raises(UrlRefused, match="header"):
        await let_out(peer).fetch(peer.url, headers={name: value})

    assert peer.connections == 0


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "GET / HTTP/1.1\r\nX:", ""])
async def test_method_that_could_smuggle_is_refused(method: str):
    with pytest.raises(UrlRefused, match="method"):
        await Egress().fetch("https://a.example/", method)


async def test_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch):
    with Peer() as proxy, Peer() as peer:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        await let_out(peer).fetch(peer.url)

    assert (proxy.connections, peer.connections) == (0, 1)


async def test_proxy_gets_the_checked_address_and_nothing_that_is_forbidden():
    def tunnel(request: bytes):
        yield b"HTTP/1.1 200 Connection established\r\n\r\n"
        yield reply(b"through the tunnel")

    with Peer(tunnel) as proxy:
        login = proxy.url.replace("http://", "http://ada:s3cret@")
        egress = let_out(proxy=login)
        egress.resolver = resolver_of({"a.example": ["8.8.8.8"], "inner.example": ["10.0.0.1"]})
        page = await egress.fetch("http://a.example/x")
        with pytest.raises(UrlRefused):
            await egress.fetch("http://inner.example/")

    assert page.body == b"through the tunnel"
    assert proxy.requests[0].startswith(b"CONNECT 8.8.8.8:80 HTTP/1.1\r\n")
    assert headers_of(proxy.requests[0])["proxy-authorization"] == "Basic YWRhOnMzY3JldA=="
    assert proxy.connections == 1
    assert "s3cret" not in repr(egress)


async def test_proxy_that_refuses_is_named():
    with Peer(b"HTTP/1.1 403 No\r\n\r\n") as proxy:
        egress = Egress(EgressSettings(proxy=proxy.url), resolver=resolver_of({"a.example": ["8.8.8.8"]}))
        with pytest.raises(EgressFailed, match="the proxy answered 403; check the option proxy"):
            await egress.fetch("http://a.example/")


@pytest.mark.parametrize(
    "proxy", ["", "proxy.example:3128", "socks5://ada:s3cret@proxy.example", "http://ada:s3cret@", "http://a b"]
)
def test_proxy_that_is_none_is_refused_without_its_secret(proxy: str):
    with pytest.raises(InvalidOption, match="option proxy") as caught:
        EgressSettings(proxy=proxy)

    assert "s3cret" not in str(caught.value)
