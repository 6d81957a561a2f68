"""Certificates are judged by the name in the URL, although the connection goes to an address."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from ergaster.testing import require_service
from ergaster_support_egress import Egress, EgressFailed, EgressSettings
from ergaster_support_egress.testing import Peer, resolver_of

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for a.example, with its key."""
    openssl = shutil.which("openssl")
    require_service("openssl", openssl is not None, "install openssl, which makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=a.example", "-addext", "subjectAltName=DNS:a.example"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.fixture
def server(certificate: tuple[Path, Path]):
    """Serve HELLO over TLS, and record the names that clients ask for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, _: names.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.recv(65_536)
                    connection.sendall(HELLO)
            except OSError:
                raw.close()  # the client did not like the certificate

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], names
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def egress_to(port: int, ca_file: Path | None) -> Egress:
    table = resolver_of({"a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"]})
    settings = EgressSettings(allow=(f"127.0.0.1:{port}",), ca_file=str(ca_file) if ca_file else None, timeout=10)
    return Egress(settings, resolver=table)


async def test_name_is_asked_for_and_checked(server, certificate):
    port, names = server
    egress = egress_to(port, certificate[0])

    assert (await egress.fetch(f"https://a.example:{port}/")).body == b"secret"
    for host in ("b.example", "127.0.0.1"):
        with pytest.raises(EgressFailed, match="certificate is not valid"):
            await egress.fetch(f"https://{host}:{port}/")
    assert names[:2] == ["a.example", "b.example"]


async def test_unknown_authority_is_refused_whatever_the_environment_says(server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    with pytest.raises(EgressFailed, match="certificate is not valid"):
        await egress_to(server[0], None).fetch(f"https://a.example:{server[0]}/")


async def test_peer_without_tls_is_told_apart():
    with Peer(b"HTTP/1.1 400 Bad\r\n\r\n") as peer:
        egress = Egress(EgressSettings(allow=(peer.place,), connect_timeout=0.3))
        with pytest.raises(EgressFailed, match="cannot be reached"):
            await egress.fetch(peer.url.replace("http", "https"))
