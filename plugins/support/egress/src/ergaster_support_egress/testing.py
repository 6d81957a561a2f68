"""For tests of what uses the guard: peers on loopback that say exactly what they are told to, and a table of names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from ergaster_support_egress.guard import Resolver

__all__ = ["Answer", "Peer", "redirect", "reply", "resolver_of"]

Answer: TypeAlias = bytes | Iterable[bytes] | Callable[[bytes], bytes]
"""Bytes, pieces of bytes, or a function of the request's bytes."""


class Peer:
    """A server that accepts connections, records what they send, and answers; a context manager.

    Args:
        answers: One for each request; the last repeats.
        host: An address of loopback.

    Attributes:
        requests: What was sent, with one item for each request.
        connections: How many were made.
        port: Where it listens.
        place: Address and port.
        url: `http://` and the place.
    """

    def __init__(self, *answers: Answer, host: str = "127.0.0.1") -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._answers = list(answers) or [reply()]
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        self.place = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = f"http://{self.place}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Peer:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        _shut(self._listener)  # wakes the thread, which a close alone does not
        for connection in self._open:
            _shut(connection)
        for thread in self._threads:
            thread.join(5)

    def say(self, *answers: Answer) -> None:
        """Answer with these from now on."""
        self._answers = list(answers)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            request = _read_request(connection)
            if request:
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                answer = answer(request) if callable(answer) else answer
                for piece in (answer,) if isinstance(answer, bytes) else answer:
                    connection.sendall(piece)
        except OSError:
            pass  # the client has gone
        finally:
            _shut(connection)


def reply(body: bytes = b"ok", *, status: int = 200, length: int | None = None, **headers: str) -> bytes:
    """Return an answer; *length* is said instead of the body's, and `_` in names of *headers* stands for `-`."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(location: str, status: int = 302) -> bytes:
    """Return a redirect."""
    return reply(b"", status=status, Location=location)


def resolver_of(table: Mapping[str, Sequence[str]]) -> Resolver:
    """Return a resolver that knows the names of *table* and no others."""

    async def resolve(host: str, _port: int) -> Sequence[str]:
        if host not in table:
            raise OSError("unknown name")
        return table[host]

    return resolve


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # shut already
    connection.close()


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
