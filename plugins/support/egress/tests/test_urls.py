"""A22: no form of a URL leads to a place that is not public."""
# ruff: noqa: RUF001 - look-alikes of digits are the point

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ergaster.errors import InvalidOption
from ergaster_support_egress import Egress, EgressError, EgressFailed, EgressSettings, UrlRefused, parse_url, show_url
from ergaster_support_egress.addresses import why_forbidden
from ergaster_support_egress.testing import Peer, resolver_of

# Each stands for loopback, a private, a link-local or a metadata address in some reader of URLs, or is no web page.
HOSTILE = (
    *("http://127.0.0.1:{port}/", "http://127.1:{port}/", "http://127.0.1:{port}/", "http://2130706433:{port}/"),
    *("http://0x7f000001:{port}/", "http://0x7f.0.0.1:{port}/", "http://0177.0.0.1:{port}/", "http://017700000001:{port}/"),
    *("http://0:{port}/", "http://0.0.0.0:{port}/", "http://127.0.0.1.:{port}/", "http://127.000.000.001:{port}/"),
    *("http://[::1]:{port}/", "http://[::]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/"),
    *("http://[::127.0.0.1]:{port}/", "http://[64:ff9b::7f00:1]:{port}/", "http://[64:ff9b:1::7f00:1]:{port}/"),
    *("http://[2002:7f00:1::]:{port}/", "http://[2001:0:7f00:1::]:{port}/", "http://[::ffff:0:7f00:1]:{port}/"),
    *("http://[fe80::5efe:7f00:1]:{port}/", "http://[::1%25lo]:{port}/", "http://[fe80::1%25eth0]:{port}/"),
    *("http://[fd00:ec2::254]:{port}/", "http://[fc00::1]:{port}/", "http://[ff02::1]:{port}/"),
    *("http://169.254.169.254:{port}/", "http://100.100.100.200:{port}/", "http://168.63.129.16:{port}/"),
    *("http://10.0.0.1:{port}/", "http://192.168.0.1:{port}/", "http://172.31.255.255:{port}/", "http://224.0.0.1:{port}/"),
    *("http://localhost:{port}/", "http://LOCALHOST.:{port}/", "http://user@127.0.0.1:{port}/"),
    *(
        "http://example.com:80@127.0.0.1:{port}/",
        "http://example.com\\@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}\\@example.com/",
    ),
    *(
        "http:\\\\127.0.0.1:{port}/",
        "http://１２７.０.０.１:{port}/",
        "http://①②⑦.⓪.⓪.①:{port}/",
        "http://127。0。0。1:{port}/",
    ),
    *(
        "http://127%2e0%2e0%2e1:{port}/",
        "http://%31%32%37.0.0.1:{port}/",
        "http://127.0.0.1\t:{port}/",
        " http://127.0.0.1:{port}/",
    ),
    *("http:127.0.0.1:{port}", "http:///127.0.0.1:{port}/", "http://:{port}/", "//127.0.0.1:{port}/", "127.0.0.1:{port}"),
    *("file:///etc/passwd", "ftp://127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_x", "dict://127.0.0.1:{port}/", "data:,x"),
    *("javascript:alert(1)", "ws://127.0.0.1:{port}/", "http://", "http://[::1", "http://127.0.0.1:{port}:80/", ""),
    *(
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:８０/",
        "http://127.0.0.1:+{port}/",
        "http://1.2.3.4.5:{port}/",
    ),
)
assert len(HOSTILE) >= 52


@pytest.mark.parametrize("form", HOSTILE)
async def test_hostile_form_reaches_nobody(form: str):
    with Peer() as canary, Peer(host="::1") as canary6:
        for peer in (canary, canary6):
            egress = Egress(EgressSettings(timeout=5, ports=(80, peer.port)))
            with pytest.raises(UrlRefused):
                await egress.fetch(form.replace("{port}", str(peer.port)))

    assert canary.connections + canary6.connections == 0


# No test may ask the public internet, so nothing that could be a public address is made.
_NO_DIGITS = st.characters(exclude_categories=("Nd", "No", "Nl"))
_HOSTS = st.one_of(
    st.sampled_from(["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "127。1", "a@127.0.0.1"]),
    st.text(_NO_DIGITS, max_size=20),
    st.integers(0, 2**33).map(str),
    # loopback inside any prefix outside 2000::/3
    st.integers(0, 2**93 - 1).map(lambda prefix: f"[{ip_address(prefix << 32 | 0x7F000001)}]"),
    st.integers(2**95, 2**96 - 1).map(lambda prefix: f"[{ip_address(prefix << 32 | 0x7F000001)}]"),
    st.lists(st.sampled_from(["0x7f", "127", "0", "0177", "", "00", "１２７"]), max_size=5).map(".".join),
)
_TAILS = st.one_of(
    st.just("/"), st.text(_NO_DIGITS, max_size=8).map(lambda text: f"/{text}"), st.sampled_from(["", "\\", "@x", "#@x", "?@x"])
)
_PREFIXES = st.sampled_from(["http://", "https://", "HTTP://", "http:\\\\", "http:/", "//", "http://x@", "http://x:y@", ""])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prefix=_PREFIXES, host=_HOSTS, tail=_TAILS, has_port=st.booleans())
def test_no_url_leads_to_loopback(prefix: str, host: str, tail: str, has_port: bool):
    """The resolver knows every name as the canary's, so that a name that is not refused by its text is by its address."""

    async def everything_is_here(name: str, port: int):
        return ("127.0.0.1",)

    with Peer() as canary:
        egress = Egress(EgressSettings(ports=(80, 443, canary.port), timeout=5), resolver=everything_is_here)
        url = f"{prefix}{host}{f':{canary.port}' if has_port else ''}{tail}"
        with pytest.raises(UrlRefused):
            asyncio.run(egress.fetch(url))

    assert canary.connections == 0


@given(st.text(max_size=60))
def test_reading_a_url_ends_with_a_target_or_a_refusal(url: str):
    for text in (url, f"https://{url}", f"https://example.com/{url}"):
        try:
            target = parse_url(text)
        except UrlRefused:
            continue
        assert target == parse_url(target.url), "its own spelling is read the same way"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Example.COM", "https://example.com/"),
        ("HTTPS://example.com.:443/a?b=c#d", "https://example.com/a?b=c"),
        ("https://bücher.example/straße?q=ä", "https://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%A4"),
        ("http://8.8.8.8:8080/%20", "http://8.8.8.8:8080/%20"),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
        ("https://en.wikipedia.org/wiki/Homo_(genus)", "https://en.wikipedia.org/wiki/Homo_(genus)"),
    ],
)
def test_ordinary_urls_are_read(url: str, expected: str):
    assert expected == parse_url(url).url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://user@example.com/", "a user name or password"),
        ("https://example.com:443@example.org/", "a user name or password"),
        ("https://８.８.８.８/", "unusual spelling"),
        ("https://8.8.8.8./", "unusual spelling"),
        ("https://134744072/", "unusual spelling"),
        ("https://example.com\\@example.org/", "a backslash"),
    ],
)
def test_refusal_names_its_reason(url: str, reason: str):
    with pytest.raises(UrlRefused, match=reason):
        parse_url(url)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("8.8.8.8", ""),
        ("2606:4700:4700::1111", ""),
        ("64:ff9b::808:808", ""),
        ("64:ff9b::a00:1", "private"),
        ("100.64.0.1", "CGNAT"),
        ("100.128.0.1", ""),
        ("172.32.0.1", ""),
        ("169.254.169.254", "metadata"),
        ("255.255.255.255", "reserved"),
        ("2606:4700::5efe:7f00:1", "ISATAP"),
        ("4000::1", "reserved"),
    ],
)
def test_addresses_are_told_apart(address: str, reason: str):
    found = why_forbidden(ip_address(address))

    assert bool(found) == bool(reason)
    assert reason in found


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["2606:4700::1", "::1"], ["fe80::1%eth0"]])
async def test_all_answers_for_a_name_are_judged(answers: list[str]):
    egress = Egress(resolver=resolver_of({"a.example": answers}))

    with pytest.raises(UrlRefused, match=r"'a\.example' leads to"):
        await egress.fetch("https://a.example/")


@pytest.mark.parametrize("answers", [[], ["nonsense"]])
async def test_name_without_address_is_a_failure(answers: list[str]):
    with pytest.raises(EgressFailed, match="check its spelling"):
        await Egress(resolver=resolver_of({"a.example": answers})).fetch("https://a.example/")


@pytest.mark.parametrize("entry", ["127.0.0.0/8", "127.0.0.1", "a.example", "*.example"])
async def test_exemption_opens_its_place_only(entry: str):
    table = resolver_of({"a.example": ["127.0.0.1"], "c.elsewhere": ["10.0.0.1"]})
    with Peer() as peer, Peer() as canary:
        egress = Egress(EgressSettings(allow=(f"{entry}:{peer.port}",)), resolver=table)

        assert (await egress.fetch(f"http://a.example:{peer.port}/")).body == b"ok"
        for place in (f"c.elsewhere:{peer.port}", f"a.example:{canary.port}", "c.elsewhere", canary.place):
            with pytest.raises(UrlRefused):
                await egress.fetch(f"http://{place}/")

    assert canary.connections == 0


async def test_exempt_name_opens_no_metadata_service():
    egress = Egress(EgressSettings(allow=("a.example",)), resolver=resolver_of({"a.example": ["169.254.169.254"]}))

    with pytest.raises(UrlRefused, match="metadata"):
        await egress.fetch("http://a.example/")


async def test_port_of_an_exempt_network_stays_closed_elsewhere():
    egress = Egress(EgressSettings(allow=("10.0.0.0/8:9000",)), resolver=resolver_of({"a.example": ["8.8.8.8"]}))

    with pytest.raises(UrlRefused, match="port 9000"):
        await egress.fetch("http://a.example:9000/")


@pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "http://x", "a b", "x:0", "x:70000", "10.0.0.1/8", "1.2.3"])
def test_exemption_that_is_none_is_refused(entry: str):
    with pytest.raises(InvalidOption, match="allow"):
        EgressSettings(allow=(entry,))


async def test_only_named_hosts_are_asked():
    egress = Egress(EgressSettings(hosts=("*.example.com", "example.org")), resolver=resolver_of({}))

    for url in ("https://example.com/", "https://notexample.com/", "https://example.org.evil.net/", "http://8.8.8.8/"):
        with pytest.raises(UrlRefused, match="not among the allowed"):
            await egress.fetch(url)
    with pytest.raises(EgressFailed, match="no address"):
        await egress.fetch("https://a.example.com/")


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cretword@127.0.0.1/",
        "https://127.0.0.1/?key=s3cretword",
        "https://127.0.0.1/services/T00/s3cretword0123456789",
        "https://user:s3cretword?@127.0.0.1/",
        "https://user:s3cretword/@127.0.0.1/",
        "https://127.0.0.1/#s3cretword",
        "s3cretword@127.0.0.1",
        "http:/user:s3cretword@127.0.0.1/",
    ],
)
async def test_secret_in_a_url_is_in_no_error(url: str):
    with pytest.raises(EgressError) as caught:
        await Egress().fetch(url)

    assert "127.0.0.1" in str(caught.value) or "***" in str(caught.value)
    assert "s3cretword" not in f"{caught.value}{caught.value.__dict__}"


def test_shown_url_is_the_one_that_was_given():
    assert show_url("https://Example.com/a/b") == "'https://Example.com/a/b'"
    assert show_url("https://medium.com/@user/x?id=1") == "'https://medium.com/@user/x?***'"
    assert len(show_url("https://a.example/" + "x/" * 10_000)) < 300
